internal import ArgumentParser
internal import PerdureEngine
internal import ServiceLifecycle

/// `run`: hosts the workflows.
struct RunCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Hosts the workflows on a store until it is told to stop.",
        discussion: """
            Makes the store if it does not exist, brings back every run that is not closed, and takes in what the other commands send.
            SIGINT and SIGTERM stop it: no new work is begun, and steps that are under way may end.

            It hosts the runs of every namespace, whatever --namespace says: that is where a program of its own starts runs.

            A file has one host at a time. On a database this process is one node of as many as are started: each has runs of its own,
            and takes over those of a node that has died.

            Examples:
              run --store /var/lib/app/perdure.db
              run --store postgres://app@db.example.org/perdure
              run --archive /mnt/archive/perdure
            """)

    @OptionGroup var store: StoreOptions
    @Option(
        help: ArgumentHelp(
            "Put histories into this folder before they are removed, in namespaces that are archived. It has to be there.",
            valueName: "folder"))
    var archive: String?

    func run(in environment: CommandEnvironment) async throws {
        let workflows = try await environment.workflows()
        var configuration = store.engine(environment)
        if let archive { configuration.archive = HistoryArchive(archive) }
        let engine = try await Engine(
            store: store.hosted(environment), configuration: configuration, logger: environment.logger
        ) { workflows }
        let names = workflows.map { "\($0.name) \($0.version)" }.joined(separator: ", ")
        let place = store.place(environment), role = place.isShared ? " as node \(engine.node)" : ""
        environment.print("Hosting \(names.isEmpty ? "no workflows" : names) on \(place)\(role). Stop with Ctrl-C.")
        try await EngineHost(engine: engine, environment: environment).run(beside: [])
        environment.print(
            place.isShared
                ? "Stopped; open runs go on at the nodes that host their workflows, or as soon as one does."
                : "Stopped; open runs go on when the store is hosted again.")
    }
}
