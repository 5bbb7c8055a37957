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

            Says at the end if there are more; with --json, on standard error. Runs that cannot be read are named on standard error, the
            others are listed all the same, and the exit status is 5.
            With --json: an array of objects with run, namespace, workflow, version, key, state, continued_as, started_at,
            closed_at, wakes_at, note. A run that was continued as another one is continued, and one of those that are completed:
            --state completed lists it too, --state continued it alone.
            """)

    @OptionGroup var store: StoreOptions
    @Option(help: "Only runs of this workflow.") var workflow: String?
    @Option(help: "Only runs that are on this version.") var version: String?
    @Flag(help: "Only runs that are not closed, whatever their state.") var open = false
    @Option(
        help: ArgumentHelp("Only runs in this state; may be given several times: \(StateArgument.all).", valueName: "state"),
        transform: StateArgument.read)
    var state: [String] = []
    @Option(help: ArgumentHelp("Only runs with this label; may be given several times.", valueName: "name=value"))
    var label: [LabelArgument] = []
    @Option(help: "At most this many.") var limit = 50
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 100000.") }
        if open, !state.isEmpty { throw ValidationError("Give either --open or --state.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        // One more than is shown tells whether there are more.
        let (found, problems) = try await store.withClient(environment) { try await find(limit + 1, $0) }
        let runs = Array(found.prefix(limit)), hasMore = found.count > limit
        let note = "The newest \(limit); there are more: --limit N."
        if json {
            environment.print(json: .array(runs.map(RunJSON.run)))
            if hasMore { environment.writeError(note + "\n") }
        } else {
            environment.print(RunListText.render(runs, now: environment.now(), style: environment.style))
            if hasMore { environment.print(environment.style.dim(note)) }
        }
        try environment.tell(ofUnreadable: problems)
    }

    private func find(_ limit: Int, _ client: Client) async throws -> (runs: [RunRecord], problems: [String]) {
        let states = open ? RunState.allCases.filter { !$0.isFinal } : StateArgument.states(state)
        var filter = RunFilter(
            workflow: workflow, version: version, states: states, labels: LabelArgument.dictionary(label), limit: limit)
        var found: [RunRecord] = [], problems: [String] = []
        while true {
            let page = try await client.readable(filter)
            found += page.runs.filter { StateArgument.fits($0, state) }
            problems += page.problems
            guard found.count < limit, page.runs.count == filter.limit, let last = page.runs.last else {
                return (Array(found.prefix(limit)), problems)
            }
            filter.before = last.number
        }
    }
}
