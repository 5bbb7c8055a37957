internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureStore

/// Which store.
struct StoreOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The store: a file, or the postgres:// URL of a database. Default: $PERDURE_STORE, or perdure.db.",
            valueName: "path|url"))
    var store: String?

    @Option(
        help: ArgumentHelp(
            "Only this namespace: nothing of another one is there. Default: $PERDURE_NAMESPACE, or all.", valueName: "name"))
    var namespace: String?

    /// The namespace that the command is confined to, if it is to one.
    func confinement(_ environment: CommandEnvironment) -> String? { namespace ?? environment.namespace }

    /// What an engine of this command is made with: what it starts belongs to the namespace.
    func engine(_ environment: CommandEnvironment) -> EngineConfiguration {
        var engine = environment.engine
        if let namespace = confinement(environment) { engine.namespace = namespace }
        return engine
    }

    private func text(_ environment: CommandEnvironment) -> String {
        store ?? environment.variables["PERDURE_STORE"].flatMap { $0.isEmpty ? nil : $0 } ?? "perdure.db"
    }

    func place(_ environment: CommandEnvironment) -> StorePlace { StorePlace(text(environment)) }

    /// Only for what goes on below: each way to open the store decides what a namespace means for it.
    private func configuration(_ environment: CommandEnvironment) -> StoreConfiguration {
        environment.openStore(text(environment))
    }

    /// For an engine, which hosts the runs of all namespaces and starts its own in the one that `engine` names.
    func hosted(_ environment: CommandEnvironment) -> StoreConfiguration { configuration(environment) }

    /// For what concerns every namespace.
    ///
    /// - Throws: `PerdureError` with `usage` if the command is confined to one.
    func whole(_ environment: CommandEnvironment, to wish: String) throws -> StoreConfiguration {
        if let namespace = confinement(environment) {
            throw PerdureError(
                .usage,
                "This command is confined to namespace '\(namespace)' and cannot \(wish), which concerns all of them: leave out --namespace, and unset PERDURE_NAMESPACE."
            )
        }
        return configuration(environment)
    }

    /// Opens the store beside whoever hosts runs on it, and closes it again.
    func withClient<Result>(_ environment: CommandEnvironment, _ body: (Client) async throws -> Result) async throws -> Result {
        let client = try await Client(configuration(environment), namespace: confinement(environment))
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}
