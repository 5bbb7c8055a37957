internal import ArgumentParser
internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `schedules create`.
struct ScheduleCreateCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes a schedule, or finds that it is there just like that.",
        discussion: """
            Examples:
              schedules create nightly --workflow rotate-secret --cron '30 2 * * *' --zone Europe/Berlin --input '{"service": "db"}'
              schedules create sweep --workflow sweep --every 15m --overlap queue --jitter 1m
              schedules create nightly --workflow rotate-secret --cron '0 4 * * *' --zone Europe/Berlin --replace

            Where a schedule of this name says something else, nothing is changed without --replace; with it all of the schedule is as it is
            given here. With --json: an object with schedule, new, and due_times, the next three.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var schedule: ScheduleArgument
    @Option(help: "The workflow whose runs it starts.") var workflow: String
    @Option(help: "The version to start. Default: the newest that is hosted at the time.") var version: String?
    @Option(help: ArgumentHelp("When: five fields as in crontab(5), or @hourly, @daily and so on.", valueName: "expression"))
    var cron: String?
    @Option(help: "The time zone of --cron, such as Europe/Berlin. Default: UTC.") var zone: String?
    @Option(help: ArgumentHelp("When: in even intervals, such as 90s, 15m, 8h, 3d.", valueName: "duration"))
    var every: DurationArgument?
    @Option(help: ArgumentHelp("The input of each run: JSON, @file or - for standard input.", valueName: "json")) var input = "{}"
    @Option(help: ArgumentHelp("A label of each run; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Option(help: ArgumentHelp("Cancel a run when it has taken that long.", valueName: "duration")) var deadline:
        DurationArgument?
    @OptionGroup var place: QueueOptions
    @Option(
        help: ArgumentHelp(
            "What happens while a run of it is open: skip, queue, cancel_other, allow. Default: skip.", valueName: "policy"))
    var overlap: OverlapArgument?
    @Option(help: ArgumentHelp("How late a run may start. Default: 1d.", valueName: "duration")) var catchUp: DurationArgument?
    @Option(help: ArgumentHelp("Spread the starts over up to that long.", valueName: "duration")) var jitter: DurationArgument?
    @Flag(help: "Change the schedule of this name, if there is one.") var replace = false
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        guard (cron == nil) != (every == nil) else { throw ValidationError("Give either --cron or --every.") }
        if zone != nil, cron == nil { throw ValidationError("--zone goes with --cron.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let wanted = try definition(environment), sender = try actor.principal(environment)
        try await check(wanted, environment)
        let (isNew, info) = try await store.withClient(environment) { client in
            var isNew = false
            do {
                isNew = try await client.schedule(schedule.id, wanted, by: sender)
            } catch let error as PerdureError where error.code == .scheduleConflict && replace {
                try await client.changeSchedule(schedule.id, to: wanted, by: sender)
            }
            return (isNew, try await client.schedule(schedule.id))
        }
        let times = info.nextDue.map { info.schedule.spec.times(from: $0, count: 3) } ?? []
        if json {
            environment.print(
                json: .members(
                    ("schedule", .string(info.id)), ("new", .bool(isNew)), ("due_times", .array(times.map(ScheduleText.json)))))
        } else {
            environment.print("Schedule \(info.id) is \(isNew ? "made" : "there"): \(info.schedule.spec).")
            for time in times { environment.print("  " + ScheduleText.line(time, info.schedule.spec)) }
        }
    }

    private func definition(_ environment: CommandEnvironment) throws -> Schedule {
        let spec = try cron.map { try ScheduleSpec.cron($0, in: zone ?? "UTC") } ?? .every(every?.duration ?? .zero)
        var wanted = Schedule(spec, workflow: workflow, input: try JSONArgument.read(input, option: "--input", environment))
        wanted.version = version.map { WorkflowVersion($0) }
        wanted.labels = LabelArgument.dictionary(label)
        wanted.deadline = deadline?.duration
        wanted.queue = place.place
        if let overlap { wanted.overlap = overlap.policy }
        if let catchUp { wanted.catchUp = catchUp.duration }
        if let jitter { wanted.jitter = jitter.duration }
        return wanted
    }

    /// What this program has code for is checked here; of other workflows only their hosts can tell.
    private func check(_ wanted: Schedule, _ environment: CommandEnvironment) async throws {
        let workflows = try await environment.workflows()
        guard workflows.contains(where: { $0.name == workflow }) else { return }
        let registered = try WorkflowRegistry(workflows).require(workflow, version: wanted.version)
        do {
            _ = try registered.input(json: wanted.input, limit: environment.engine.payloadLimit)
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
    }
}

/// A policy on the command line.
struct OverlapArgument: ExpressibleByArgument {
    let policy: Schedule.Overlap

    init?(argument: String) {
        guard let policy = Schedule.Overlap(rawValue: argument) else { return nil }
        self.policy = policy
    }
}
