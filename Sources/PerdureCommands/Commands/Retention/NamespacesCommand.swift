internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory

/// `namespaces`: how long the runs of each stay.
struct NamespacesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "namespaces", abstract: "Says what is set for each namespace and which runs it has, and sets it.",
        subcommands: [NamespaceListCommand.self, NamespaceSetCommand.self, NamespaceUnsetCommand.self],
        defaultSubcommand: NamespaceListCommand.self)
}

/// `namespaces list`.
struct NamespaceListCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the namespaces that have runs or settings.",
        discussion: """
            A namespace without settings follows what each engine is configured with.

            Examples:
              namespaces
              namespaces list --json

            With --json: an array of objects with namespace, set, keep_seconds, keep_tombstones_seconds, archive, changed_by, changed_at
            and runs, an object with the number of runs by state. Without keep_seconds histories stay for ever, if set is true.
            """)

    @OptionGroup var store: StoreOptions
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        let found = try await store.withClient(environment) { try await $0.namespaces() }
        if json {
            environment.print(json: .array(found.map(NamespaceText.json)))
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
        commandName: "set", abstract: "Sets how long the runs of a namespace stay, on every engine.",
        discussion: """
            What is not named stays as it is set, and is kept for ever and not archived where nothing was. Runs that have expired do not
            come back. Times are a whole number with s, m, h or d, or 'forever'.

            Examples:
              namespaces set shop --keep 90d --keep-tombstones 365d --archive on
              namespaces set shop --keep forever

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
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var actor: ActorOptions

    func validate() throws {
        guard keep != nil || keepTombstones != nil || archive != nil else {
            throw ValidationError("Give --keep, --keep-tombstones or --archive.")
        }
    }

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        let settings = try await store.withClient(environment) { client in
            try await client.changeNamespace(name, by: sender) { settings in
                var wanted = settings ?? NamespaceSettings()
                if let keep { wanted.closedAfter = keep.duration }
                if let keepTombstones { wanted.removedAfter = keepTombstones.duration }
                if let archive { wanted.archive = archive == .on }
                settings = wanted
            }
        }
        if json {
            environment.print(json: NamespaceText.json(name, settings))
        } else {
            environment.print("Namespace \(name): \(NamespaceText.sentence(settings))")
        }
    }
}

/// `namespaces unset`.
struct NamespaceUnsetCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "unset", abstract: "Removes what is set for a namespace: each engine follows its own configuration again.",
        discussion: """
            Nothing is archived then before it expires.

            Example:
              namespaces unset shop
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "The namespace.") var name: String
    @Flag(help: "Print JSON, as 'namespaces set' does.") var json = false
    @OptionGroup var actor: ActorOptions

    func run(in environment: CommandEnvironment) async throws {
        let sender = try actor.principal(environment)
        _ = try await store.withClient(environment) { client in
            try await client.changeNamespace(name, by: sender) { $0 = nil }
        }
        if json {
            environment.print(json: NamespaceText.json(name, nil))
        } else {
            environment.print("Namespace \(name): \(NamespaceText.sentence(nil))")
        }
    }
}
