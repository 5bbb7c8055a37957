internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `nodes`: which processes host workflows.
struct NodesCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes",
        abstract: "Says which processes host workflows on the store, what each hosts, and how many runs it has.",
        discussion: """
            On a file that is one process at most. On a database it is every node: one start of one process, which is alive as long as it \
            renews its lease, three times in 15 seconds. A node is overdue if it has not; its runs are taken over by any node that \
            lives and has itself seen no renewal for that long, and nobody moves them before. A node that has just died is shown until its lease is over.

            Examples:
              nodes
              nodes --json

            With --json: an object with nodes, an array of objects with node, process, host, build, hosted, since, runs (how many it has
            at this moment), renewed_at (on a database), overdue, and awaited (if nothing is begun before it has looked at a server that was \
            started or has changed); and held: whether the store's history went back, so that nothing is
            begun.
            """)

    @OptionGroup var store: StoreOptions
    @Flag(help: "Print JSON.") var json = false

    func run(in environment: CommandEnvironment) async throws {
        // The store's own time: what it says of its nodes is told by that.
        let (nodes, now, restoration) = try await store.withClient(environment) { client in
            (try await client.nodes(), client.store.now(), try await client.restoration())
        }
        let isHeld = restoration.map { $0.recoveredAt == nil } ?? false
        if json {
            environment.print(json: .members(("nodes", .array(nodes.map(RunJSON.standing))), ("held", .bool(isHeld))))
        } else {
            if isHeld { environment.print(environment.style.red(HoldText.sentence)) }
            environment.print(NodesText.render(nodes, now: now, style: environment.style))
        }
    }
}
