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

            Example:
              run --store /var/lib/app/perdure.db
            """)

    @OptionGroup var store: StoreOptions

    func run(in environment: CommandEnvironment) async throws {
        let workflows = try await environment.workflows()
        let engine = try await Engine(
            store: store.configuration(environment), configuration: environment.engine, logger: environment.logger
        ) { workflows }
        let names = workflows.map { "\($0.name) \($0.version)" }.joined(separator: ", ")
        environment.print("Hosting \(names.isEmpty ? "no workflows" : names) on \(store.path(environment)). Stop with Ctrl-C.")
        try await EngineHost(engine: engine, environment: environment).run(beside: [])
        environment.print("Stopped; open runs go on when the store is hosted again.")
    }
}
