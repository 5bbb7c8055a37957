internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `namespaces`: how long the runs of each stay, and how much they may take.
struct NamespacesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "namespaces", abstract: "Says what is set for each namespace and which runs it has, and sets it.",
        subcommands: [NamespaceListCommand.self, NamespaceSetCommand.self, NamespaceUnsetCommand.self],
        defaultSubcommand: NamespaceListCommand.self)
}

/// `namespaces list`.
struct NamespaceListCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the namespaces that have runs, settings or quotas.",
        discussion: """
            A namespace without settings follows what each engine is configured with. Beside a quota stands what is taken of it.

            Examples:
              namespaces
              namespaces list --json

            With --json: an array of objects with namespace, set, keep_seconds, keep_tombstones_seconds, archive, changed_by, changed_at
            and runs, an object with the number of runs by state. Without keep_seconds histories stay for ever, if set is true. With
            quotas also quotas, an object with max_open_runs, max_payload_bytes, starts (count, period_seconds, burst), open_runs,
            payload_bytes, changed_by and changed_at.
            """)

    @OptionGroup var store: StoreOptions
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let found = try await store.withClient(environment) { try await $0.namespaces() }
        if json {
            environment.print(json: .array(found.map { NamespaceText.json($0) }))
        } else {
            environment.print(NamespaceText.table(found, style: environment.style))
        }
    }
}

/// How long something is kept, on the command line.
enum KeepArgument: ExpressibleByArgument {
    case forever
    case time(Duration)

    init?(argument: String) {
        if argument == "forever" {
            self = .forever
        } else if let time = DurationArgument(argument: argument) {
            self = .time(time.duration)
        } else {
            return nil
        }
    }

    var duration: Duration? {
        switch self {
        case .forever: nil
        case .time(let duration): duration
        }
    }
}

/// `namespaces set`.
struct NamespaceSetCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets how long the runs of a namespace stay, on every engine, and how much they may take.",
        discussion: """
            What is not named stays as it is set. With one of the first three the others are set as well: what was not is kept for ever and
            not archived. Runs that have expired do not come back. Times are a whole number with s, m, h or d, or 'forever'.

            Quotas refuse what people, programs and schedules start. What is under way goes on, and so do the runs that it starts.
            'none' takes a quota away.

            Examples:
              namespaces set shop --keep 90d --keep-tombstones 365d --archive on
              namespaces set shop --keep forever
              namespaces set shop --open-runs 10000 --payload 10GB --starts 50/s --burst 100
              namespaces set shop --payload none

            With --json: an object as 'namespaces list' has it, without runs.
            """)

    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on, off
    }

    @OptionGroup var store: StoreOptions
    @Argument(help: "The namespace.") var name: String
    @Option(help: ArgumentHelp("How long the history of a closed run stays.", valueName: "time|forever")) var keep: KeepArgument?
    @Option(
        help: ArgumentHelp("How long its tombstone, and with it its key, stays after that.", valueName: "time|forever"))
    var keepTombstones: KeepArgument?
    @Option(help: "Whether no run expires before its history is in an archive.") var archive: Switch?
    @Option(help: ArgumentHelp("How many runs may be open at once; 0 lets nobody start any.", valueName: "n|none"))
    var openRuns: LimitArgument<CountArgument>?
    @Option(
        help: ArgumentHelp(
            "How many bytes of inputs and outputs histories may have: 500MB, 10GB, 2TB, or a number.", valueName: "size|none"))
    var payload: LimitArgument<SizeArgument>?
    @Option(help: ArgumentHelp("How many runs may be started in a time: 50/s, 5/m, 100/15m.", valueName: "n/duration|none"))
    var starts: LimitArgument<RateArgument>?
    @Option(help: ArgumentHelp("How many of these at once after a quiet time. Default: 1.", valueName: "n")) var burst: Int?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        guard setsTerms || setsQuotas else {
            throw ValidationError("Give --keep, --keep-tombstones, --archive, --open-runs, --payload or --starts.")
        }
        if burst != nil, starts?.value == nil { throw ValidationError("--burst goes with --starts.") }
        if let burst, !(1...100_000).contains(burst) { throw ValidationError("--burst has to be from 1 to 100000.") }
    }

    private var setsTerms: Bool { keep != nil || keepTombstones != nil || archive != nil }
    private var setsQuotas: Bool { openRuns != nil || payload != nil || starts != nil }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let info = try await store.withClient(environment) { client in
            if setsTerms {
                try await client.changeNamespace(name, by: sender) { settings in
                    var wanted = settings ?? NamespaceSettings()
                    if let keep { wanted.closedAfter = keep.duration }
                    if let keepTombstones { wanted.removedAfter = keepTombstones.duration }
                    if let archive { wanted.archive = archive == .on }
                    settings = wanted
                }
            }
            if setsQuotas {
                try await client.changeQuotas(of: name, by: sender) { quotas in
                    if let openRuns { quotas.openRuns = openRuns.value?.count }
                    if let payload { quotas.payloadBytes = payload.value?.bytes }
                    if let starts {
                        quotas.starts = starts.value.map { Rate($0.count, per: $0.period, burst: burst ?? 1) }
                    }
                }
            }
            return try await client.settings(of: name)
        }
        if json {
            environment.print(json: NamespaceText.json(settingsOf: info))
        } else {
            if setsTerms { environment.print("Namespace \(name): \(NamespaceText.sentence(info.settings))") }
            if setsQuotas { environment.print("Namespace \(name): \(NamespaceText.quotaSentence(info.quotas))") }
        }
    }
}

/// `namespaces unset`.
struct NamespaceUnsetCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "unset", abstract: "Removes what is set for a namespace: each engine follows its own configuration again.",
        discussion: """
            Nothing is archived then before it expires. Quotas stay; 'namespaces set' takes them away.

            Example:
              namespaces unset shop
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "The namespace.") var name: String
    @Flag(help: "Print JSON, as 'namespaces set' does.") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let info = try await store.withClient(environment) { client in
            try await client.changeNamespace(name, by: sender) { $0 = nil }
            return try await client.settings(of: name)
        }
        if json {
            environment.print(json: NamespaceText.json(settingsOf: info))
        } else {
            environment.print("Namespace \(name): \(NamespaceText.sentence(nil))")
        }
    }
}
