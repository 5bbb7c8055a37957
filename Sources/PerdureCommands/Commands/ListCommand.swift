internal import ArgumentParser
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `list`: runs, newest first.
struct ListCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists runs, newest first.",
        discussion: """
            Examples:
              list --state parked --state blocked
              list --workflow rotate-secret --version 1 --open
              list --limit 20 --json
              list --label customer=7

            Says at the end if there are more; with --json, on standard error.
            With --json: an array of objects with run, namespace, workflow, version, key, state, continued_as, started_at,
            closed_at, wakes_at, note. A run that was continued as another one is continued, and one of those that are completed.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "Only runs of this workflow.") var workflow: String?
    @Option(help: "Only runs that were started on this version.") var version: String?
    @Flag(help: "Only runs that are not closed, whatever their state.") var open = false
    @Option(
        help: ArgumentHelp("Only runs in this state; may be given several times: \(Self.states).", valueName: "state"),
        transform: Self.readState)
    var state: [RunState] = []
    @Option(help: ArgumentHelp("Only runs with this label; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Option(help: "At most this many.") var limit = 50
    @Flag(help: "Print JSON.") var json = false

    private static let states = RunState.allCases.map(\.rawValue).joined(separator: ", ")

    private static func readState(_ text: String) throws -> RunState {
        guard let state = RunState(rawValue: text) else { throw ValidationError("'\(text)' is no state; there are \(states).") }
        return state
    }

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 100000.") }
        if open, !state.isEmpty { throw ValidationError("Give either --open or --state.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let states = open ? RunState.allCases.filter { !$0.isFinal } : state
        // One more than is shown tells whether there are more.
        let filter = RunFilter(
            workflow: workflow, version: version, states: states, labels: LabelArgument.dictionary(label), limit: limit + 1)
        let found = try await store.withClient(environment) { client in
            try await client.guarded { try await client.store.runs(filter) }
        }
        let runs = Array(found.prefix(limit)), hasMore = found.count > limit
        let note = "The newest \(limit); there are more: --limit N."
        if json {
            environment.print(json: .array(runs.map(RunJSON.run)))
            if hasMore { environment.writeError(note + "\n") }
        } else {
            environment.print(RunListText.render(runs, now: environment.now(), style: environment.style))
            if hasMore { environment.print(environment.style.dim(note)) }
        }
    }
}
