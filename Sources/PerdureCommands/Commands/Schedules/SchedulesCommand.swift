internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory

/// `schedules`: what is started again and again.
struct SchedulesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedules", abstract: "Lists schedules, and makes, pauses, triggers, backfills and removes them.",
        subcommands: [
            ScheduleListCommand.self, ScheduleShowCommand.self, ScheduleCreateCommand.self, SchedulePauseCommand.self,
            ScheduleResumeCommand.self, ScheduleTriggerCommand.self, ScheduleBackfillCommand.self, ScheduleRemoveCommand.self,
        ], defaultSubcommand: ScheduleListCommand.self)
}

/// `schedules list`.
struct ScheduleListCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists schedules by name.",
        discussion: """
            Examples:
              schedules
              schedules list --namespace default --json

            Says at the end if there are more; with --json, on standard error. With --json: an array of objects with id, namespace, when, \
            zone, workflow, version, overlap, next_due, last_run, started, skipped, missed, paused_at, note, trouble and more, as \
            'schedules show' has them.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "At most this many.") var limit = 100
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 10000.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let found = try await store.withClient(environment) { try await $0.schedules(limit: limit + 1) }
        let shown = Array(found.prefix(limit)), note = "The first \(limit); there are more: --limit N."
        if json {
            environment.print(json: .array(shown.map { ScheduleText.json($0) }))
            if found.count > limit { environment.writeError(note + "\n") }
        } else {
            environment.print(ScheduleText.table(shown, now: environment.now(), style: environment.style))
            if found.count > limit { environment.print(environment.style.dim(note)) }
        }
    }
}

/// Which schedule a command is about.
struct ScheduleArgument: ParsableArguments {
    @Argument(help: "The schedule's name.") var id: String
}

/// `schedules show`.
struct ScheduleShowCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Says all of a schedule, with its next due times.",
        discussion: """
            Examples:
              schedules show nightly
              schedules show nightly --count 20 --json

            Due times are shown in UTC and as the clocks of the schedule's time zone show them.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Option(help: "How many due times to show, from 0 to 1000.") var count = 5
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (0...1_000).contains(count) else { throw ValidationError("--count has to be from 0 to 1000.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let info = try await store.withClient(environment) { try await $0.schedule(schedule.id) }
        let times = info.nextDue.map { info.schedule.spec.times(from: $0, count: count) } ?? []
        if json {
            environment.print(json: ScheduleText.json(info, times: times))
        } else {
            environment.print(ScheduleText.details(info, times: times, now: environment.now(), style: environment.style))
        }
    }
}
