internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `schedules pause`.
struct SchedulePauseCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Has a schedule start nothing until it is resumed.",
        discussion: """
            Runs that are open go on. Due times meanwhile are passed over; 'schedules backfill' starts their runs.

            Example:
              schedules pause nightly --note "the vault is down until Monday"
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Option(help: "Why; shown with the schedule.") var note: String
    @Flag(help: "Print JSON: schedule, accepted (the command).") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        try await store.withClient(environment) {
            try await $0.pauseSchedule(schedule.id, note: note, by: sender)
        }
        environment.print(scheduled: "Schedule \(schedule.id) is paused.", "pause", schedule, json: json)
    }
}

/// `schedules resume`.
struct ScheduleResumeCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Ends the pause of a schedule; it goes on with its next due time.")

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Flag(help: "Print JSON: schedule, accepted (the command).") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        try await store.withClient(environment) { try await $0.resumeSchedule(schedule.id, by: sender) }
        environment.print(scheduled: "Schedule \(schedule.id) goes on.", "resume", schedule, json: json)
    }
}

/// `schedules trigger`.
struct ScheduleTriggerCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "trigger", abstract: "Starts a run of a schedule now, beside its due times, also while it is paused.",
        discussion: """
            Refused while a run of the schedule is open that may not overlap with another one. With --json: an object with schedule and
            run.

            Example:
              schedules trigger nightly
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Flag(help: "Start it although another run of the schedule is open.") var overlapping = false
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let run = try await store.withClient(environment) {
            try await $0.triggerSchedule(schedule.id, overlapping: overlapping, by: sender)
        }
        guard json else { return environment.print("Run \(run) is started.") }
        environment.print(json: .members(("schedule", .string(schedule.id)), ("run", .string(run.description))))
    }
}

/// `schedules backfill`.
struct ScheduleBackfillCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "backfill", abstract: "Has runs started for due times of the past that have none.",
        discussion: """
            One after the other, each when no run of the schedule is open; with --overlapping all at once. A due time that has started a run
            starts no other, so that the same can be asked for twice.

            Examples:
              schedules backfill nightly --from 2026-03-01T00:00:00Z --to 2026-03-07T00:00:00Z --dry-run
              schedules backfill nightly --from 2026-03-01T00:00:00Z --to 2026-03-07T00:00:00Z

            With --json: an object with schedule, dry_run and due_times, an array of objects with utc, local and, where there is one already,
            run.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Option(help: ArgumentHelp("The first moment, in ISO 8601.", valueName: "time")) var from: TimeArgument
    @Option(help: ArgumentHelp("The last moment, in ISO 8601.", valueName: "time")) var to: TimeArgument
    @Flag(help: "Start the runs side by side.") var overlapping = false
    @Flag(help: "Only say what would be started.") var dryRun = false
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment), end = min(to.date, environment.now().date)
        let (times, spec) = try await store.withClient(environment) { client in
            let spec = try await client.schedule(schedule.id).schedule.spec
            let times = try await client.dueTimes(ofSchedule: schedule.id, from: from.date, to: end)
            if !dryRun {
                try await client.backfillSchedule(
                    schedule.id, from: from.date, to: end, overlapping: overlapping, by: sender)
            }
            return (times, spec)
        }
        let missing = times.count { $0.run == nil }
        if json {
            let listed = times.map { time in
                JSONValue.members(
                    ("utc", .string(ScheduleText.utc(time.due))), ("local", .string(ScheduleText.local(time.due, spec))),
                    ("run", time.run.map { .string($0.description) }))
            }
            environment.print(
                json: .members(("schedule", .string(schedule.id)), ("dry_run", .bool(dryRun)), ("due_times", .array(listed))))
        } else {
            for time in times {
                environment.print(ScheduleText.line(time.due, spec) + (time.run.map { "  has run \($0)" } ?? ""))
            }
            environment.print(
                "\(times.count) due times, \(missing) without a run\(dryRun ? "." : missing == 0 ? "; nothing is started." : ": they are started.")"
            )
        }
    }
}

/// `schedules remove`.
struct ScheduleRemoveCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a schedule; its runs go on.")

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Flag(help: "Print JSON: schedule, accepted (the command).") var json = false

    func run(in environment: CommandEnvironment) async throws {
        try await store.withClient(environment) { try await $0.removeSchedule(schedule.id) }
        environment.print(scheduled: "Schedule \(schedule.id) is removed.", "remove", schedule, json: json)
    }
}

/// A moment on the command line.
struct TimeArgument: ExpressibleByArgument {
    let date: Date

    init?(argument: String) {
        guard let date = try? Date(argument, strategy: .iso8601) else { return nil }
        self.date = date
    }
}

extension CommandEnvironment {
    fileprivate func print(scheduled sentence: String, _ command: String, _ schedule: ScheduleArgument, json: Bool) {
        guard json else { return print(sentence) }
        print(json: .members(("schedule", .string(schedule.id)), ("accepted", .string(command))))
    }
}
