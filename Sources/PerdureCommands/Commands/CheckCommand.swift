internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `check`: what a deployment of this executable would do to the runs of a store.
struct CheckCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Replays recorded histories against the code of this executable, before it is deployed.",
        discussion: """
            Feeds the history of every open run to the workflows of this executable, and says which of them would be blocked, and why, \
            and which have a version that it does not host. Nothing is recorded and no step is executed. It works beside the process \
            that hosts the store, or on a copy.

            It also names runs whose process was killed and which another build has taken over, or would: a plain idempotent step that \
            was under way then and that the later build does not ask for has left no trace. Where the run was not taken over yet, \
            start the build that died once more and let it end in order.

            --histories replays files that 'export-history --with-salt' has written, on any machine and without a store: say, those of \
            production in a pipeline. Each file is checked line by line; one that is damaged, cut off or of a later release ends it.

            Examples:
              check
              check --workflow rotate-secret --closed
              check --histories histories.jsonl --json
              check 0193a5b0-0000-7000-8000-000000000001

            The exit status is 1 if a run would be blocked or stranded, cannot be read, or was left by a killed process of another build.
            With --json: an object with build, checked, runs: those of which there is something to say (run, workflow, version, state,
            verdict, message, unclean_ends), and store_problems: what stands in the place of runs whose rows cannot be read.
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: "Runs, open or closed. Default: all that are open.") var runs: [String] = []
    @Option(help: "Only runs of this workflow.") var workflow: String?
    @Flag(help: "Closed runs too.") var closed = false
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Instead of a store: files of exported histories, all runs in them.", valueName: "file"))
    var histories: [String] = []
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        for run in runs where RunID(run) == nil { throw ValidationError("'\(run)' is not a run's id.") }
        if !runs.isEmpty, closed || workflow != nil { throw ValidationError("Give either runs, or --workflow and --closed.") }
        if !histories.isEmpty, closed || workflow != nil || !runs.isEmpty || store.store != nil {
            throw ValidationError(
                "With --histories everything in the files is checked: leave out runs, --workflow, --closed, --store.")
        }
    }

    func run(in environment: CommandEnvironment) async throws {
        let workflows = try await environment.workflows()
        let (result, build) =
            histories.isEmpty
            ? try await store.withClient(environment) { client in
                try await Rehearser(client, workflows, environment.engine).closing { try await check(client, $0) }
            } : try await Rehearser(workflows, environment.engine).closing { try await checkFiles($0) }
        if json {
            environment.print(
                json: .members(
                    ("build", .string(build)), ("checked", JSONValue(result.checked)),
                    ("runs", .array(result.remarkable.map(RunJSON.rehearsal))),
                    ("store_problems", .array(result.storeProblems.map(JSONValue.string)))))
        } else {
            environment.print(CheckText.render(result, build: build, style: environment.style))
        }
        if !result.storeProblems.isEmpty || result.remarkable.contains(where: \.needsAttention) { throw CommandStatus.failed }
    }

    /// What is kept of all runs, however many there are.
    struct Result {
        var checked = 0
        /// Runs of which there is something to say.
        var remarkable: [RunRehearsal] = []
        /// What is to be said of rows that cannot be read.
        var storeProblems: [String] = []

        mutating func add(_ rehearsal: RunRehearsal) {
            checked += 1
            if rehearsal.verdict != .fits || !rehearsal.uncleanEnds.isEmpty { remarkable.append(rehearsal) }
        }
    }

    private func checkFiles(_ rehearser: Rehearser) async throws -> Result {
        var result = Result()
        for path in histories {
            var file = try HistoryFile(path)
            while let run = try file.next() {
                if run.record.tombstone == nil { result.add(await rehearser.rehearse(run)) }
            }
        }
        return result
    }

    private func check(_ client: Client, _ rehearser: Rehearser) async throws -> Result {
        var result = Result()
        for run in runs.compactMap(RunID.init) {
            let record = try await client.record(run)
            try record.requireHistory()
            result.add(try await rehearser.rehearse(record))
        }
        guard runs.isEmpty else { return result }
        let states = closed ? [] : RunState.allCases.filter { !$0.isFinal }
        var filter = RunFilter(workflow: workflow, states: states, limit: 200)
        while true {
            let (page, problems) = try await client.readable(filter)
            result.storeProblems += problems
            for record in page where record.tombstone == nil { result.add(try await rehearser.rehearse(record)) }
            guard let last = page.last else { return result }
            filter.before = last.number
        }
    }
}

extension Rehearser {
    fileprivate func closing(
        _ body: (Rehearser) async throws -> CheckCommand.Result
    ) async throws -> (CheckCommand.Result, String) {
        do {
            let result = try await body(self)
            await close()
            return (result, build)
        } catch {
            await close()
            throw error
        }
    }
}
