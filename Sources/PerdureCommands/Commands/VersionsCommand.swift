internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `versions`: which versions of which workflows are still needed, and who hosts them.
struct VersionsCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions",
        abstract: "Says which versions of the workflows have open runs, and which of them somebody hosts.",
        discussion: """
            A version is stranded if it has open runs and no process that lives hosts it: deploy it again, beside the newer one. It is \
            drained if no run needs it and new runs go elsewhere: a process that is there for it alone may stop, and its code may go.

            Examples:
              versions
              versions --drained
              versions --stranded --json

            The exit status is 1 if a version is stranded. With --json: an object with nodes (node, process, host, build, hosted) and
            versions (workflow, version, open, runs, hosted, takes_new_runs, stranded, drained).
            """)

    @OptionGroup var store: StoreOptions
    @Flag(help: "Only versions that nobody needs any more.") var drained = false
    @Flag(help: "Only versions that are needed and not hosted.") var stranded = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if drained, stranded { throw ValidationError("Give either --drained or --stranded.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let (all, nodes) = try await store.withClient(environment) { client in
            (try await client.versions(), try await client.livingNodes())
        }
        let shown = all.filter { (!drained || $0.isDrained) && (!stranded || $0.isStranded) }
        if json {
            environment.print(
                json: .members(
                    ("nodes", .array(nodes.map(RunJSON.node))), ("versions", .array(shown.map(RunJSON.version)))))
        } else {
            environment.print(VersionsText.render(shown, nodes: nodes, style: environment.style))
        }
        if all.contains(where: \.isStranded) { throw CommandStatus.failed }
    }
}
