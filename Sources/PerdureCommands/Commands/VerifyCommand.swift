internal import ArgumentParser
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// `verify`: does a history hold together, and what does it prove?
struct VerifyCommand: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Checks the history of a run, or of all, and says what it proves.",
        discussion: """
            Checks the hash chain over every event, the run's row, and what the engine promises: nothing that must happen at most once
            is sent without an intent or sent again blindly, an approval is used once and for what was shown, undoing goes backwards,
            nothing is open at the end, parents and children, and runs that continue each other, say the same of each other. The children of a run are checked with it. Names the first wrong event; the exit status is 1 if anything is wrong.

            Of one run it says whether its code retells its history (which is led through this executable's code, and nothing is
            executed or recorded), whether every event continues the state before it, and whether the chain holds; and states what
            befell it and who moved it. What cannot be proven here, such as a replay without the code, is said to be not proven.

            Examples:
              verify 0193a5b0-0000-7000-8000-000000000001
              verify --all --json

            With --json: an object with sound, store_problems and runs; a run has run, events, sound, proven_once, resumed_safely,
            takeovers, closed, closed_cleanly and problems, each with seq, rule and message; with one run also proofs (replay, continuity,
            chain: each with verdict, which is proven, refuted or not_proven, and reason) and statement (an array of objects with seq, at,
            fact, subject, text, by, build, node, clean, replayed_events). Of a run whose history was removed only the
            end of its chain can be checked: it has expired_after, the number of its events, and is not proven_once.
            """)

    @OptionGroup var store: StoreOptions
    @Argument(help: ArgumentHelp("The run's id.", valueName: "run"), transform: RunArgument.read) var run: RunID?
    @Flag(help: "Every run of the store, and whether its tables agree.") var all = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (run == nil) == all else { throw ValidationError("Give a run's id or --all.") }
    }

    func run(in environment: CommandEnvironment) async throws {
        let result = try await store.withClient(environment) { client in
            var result = Result()
            if let run {
                try await Self.verify(try await client.record(run), client, depth: Lineage.maximumDepth, into: &result)
                result.proofs = try await RunProofs.make(result.reports, client, environment)
            } else {
                try await verifyAll(client, into: &result)
            }
            return result
        }
        print(result, environment)
        guard result.isSound else { throw CommandStatus.failed }
    }

    private struct Result {
        var reports: [(record: RunRecord, report: HistoryVerifier.Report)] = []
        var storeProblems: [String] = []
        /// Of each of the reports, where one run is looked at.
        var proofs: [RunProof] = []
        var isSound: Bool {
            storeProblems.isEmpty && reports.allSatisfy(\.report.isSound) && !proofs.contains(where: \.isRefuted)
        }
    }

    private func verifyAll(_ client: Client, into result: inout Result) async throws {
        // What the tables say of each other is everybody's.
        if client.namespace == nil { result.storeProblems = try await client.guarded { try await client.store.audit() } }
        var filter = RunFilter(limit: 200)
        while true {
            let (page, problems) = try await client.readable(filter)
            result.storeProblems += problems
            for record in page { try await Self.verify(record, client, depth: 0, into: &result) }
            guard let last = page.last else { return }
            filter.before = last.number
        }
    }

    /// The run's own history, with what its children say of it, then theirs.
    private static func verify(_ first: RunRecord, _ client: Client, depth: Int, into result: inout Result) async throws {
        let found: Client.Verification
        do {
            found = try await client.verification(of: first)
        } catch let error as PerdureError where error.isAboutOneHistory {
            result.reports.append((first, .unreadable(error.message)))
            return
        }
        result.reports.append((found.record, found.report))
        guard depth > 0 else { return }
        for child in found.children {
            do {
                try await verify(try await client.record(child), client, depth: depth - 1, into: &result)
            } catch let error as PerdureError where error.code == .runUnknown {
                continue
            } catch let error as PerdureError where error.isAboutOneHistory {
                result.storeProblems.append(error.message)
            }
        }
    }

    private func print(_ result: Result, _ environment: CommandEnvironment) {
        if json {
            let runs = result.reports.enumerated().map { index, found in
                let report = RunJSON.report(found.record, found.report)
                return result.proofs.indices.contains(index) ? ProofText.add(result.proofs[index], to: report) : report
            }
            environment.print(
                json: .members(
                    ("sound", .bool(result.isSound)), ("store_problems", .array(result.storeProblems.map(JSONValue.string))),
                    ("runs", .array(runs))))
            return
        }
        let style = environment.style
        for problem in result.storeProblems { environment.print("\(style.red("WRONG in the store")): \(problem)") }
        // Of many runs only those with something wrong are worth reading.
        for (index, (record, report)) in result.reports.enumerated() where !all || !report.isSound {
            environment.print(VerificationText.render(record, report, style: style))
            if result.proofs.indices.contains(index) {
                environment.print(ProofText.render(result.proofs[index], start: record.createdAt, style: style))
            }
        }
        if all {
            let wrong = result.reports.count { !$0.report.isSound }
            let takeovers = result.reports.map(\.report.takeovers).reduce(0, +)
            let verdict = wrong == 0 ? style.green("all sound") : style.red("\(wrong) wrong")
            environment.print("\(result.reports.count) runs verified, \(verdict), \(takeovers) takeovers.")
        }
    }
}
