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
              list --workflow rotate-secret --limit 20 --json
              list --label customer=7

            With --json: an array of objects with run, namespace, workflow, version, key, state, started_at, closed_at, wakes_at, note.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "Only runs of this workflow.") var workflow: String?
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
    }

    func run(in environment: CommandEnvironment) async throws {
        let runs = try await store.withClient(environment) { client in
            try await client.guarded {
                try await client.store.runs(
                    RunFilter(
                        workflow: workflow, states: state, labels: LabelArgument.dictionary(label), limit: limit))
            }
        }
        if json {
            environment.print(json: .array(runs.map(RunJSON.run)))
        } else {
            environment.print(RunListText.render(runs, now: environment.now(), style: environment.style))
        }
    }
}
