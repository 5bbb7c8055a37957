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
        result.storeProblems = try await client.guarded { try await client.store.audit() }
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
        let record: RunRecord, events: [Event]
        do {
            (record, events) = try await read(first, client)
        } catch let error as PerdureError where error.isAboutOneHistory {
            result.reports.append((first, .unreadable(error.message)))
            return
        }
        let children = RunView(events).children.map(\.run), named = NamedChildren(events)
        var verifier = HistoryVerifier(record)
        verifier.add(events)
        if let next = record.successor {
            do {
                let next = try await client.record(next)
                if next.tombstone == nil {
                    let (next, nextEvents) = try await read(next, client)
                    verifier.checkSuccession(events, next, nextEvents)
                }
            } catch let error as PerdureError where error.isToldOfElsewhere {}
        }
        for child in try await withEnds(children, client) {
            do {
                let child = try await client.record(child)
                // Of an expired one nothing is left to compare with.
                guard child.tombstone == nil else { continue }
                let (childRecord, childEvents) = try await read(child, client)
                verifier.compare(named, childRecord, childEvents)
            } catch let error as PerdureError where error.isToldOfElsewhere {
                continue
            }
        }
        if let origin = try await origin(of: events, client) { verifier.checkOrigin(events, origin) }
        result.reports.append((record, verifier.finish()))
        guard depth > 0 else { return }
        for child in children {
            do {
                try await verify(try await client.record(child), client, depth: depth - 1, into: &result)
            } catch let error as PerdureError where error.code == .runUnknown {
                continue
            } catch let error as PerdureError where error.isAboutOneHistory {
                result.storeProblems.append(error.message)
            }
        }
    }

    /// Children that were continued, and where they have come to.
    private static func withEnds(_ children: [RunID], _ client: Client) async throws -> [RunID] {
        var all = children
        for child in children {
            do {
                let latest = try await client.latest(of: child)
                if latest != child { all.append(latest) }
            } catch let error as PerdureError where error.isToldOfElsewhere {
                continue
            }
        }
        return all
    }

    /// Of a fork the history of its source up to the event that it names, as far as that is still there and can be read.
    private static func origin(of events: [Event], _ client: Client) async throws -> [Event]? {
        guard let origin = RunView(events.prefix(1)).origin else { return nil }
        do {
            return try await client.guarded {
                guard let source = try await client.store.run(origin.run), source.tombstone == nil else { return nil }
                return try await client.store.events(of: source.number, after: 0, limit: Int(clamping: origin.seq))
            }
        } catch let error as PerdureError where error.isAboutOneHistory {
            // That is told of by itself, where the source is verified.
            return nil
        }
    }

    /// The run may go on while it is read: row and history belong together only if the row is the same before and after.
    private static func read(_ first: RunRecord, _ client: Client) async throws -> (record: RunRecord, events: [Event]) {
        var record = first
        for _ in 0..<8 {
            let events = try await client.history(of: record.id)
            let again = try await client.record(record.id)
            if again == record { return (record, events) }
            record = again
        }
        return (record, try await client.history(of: record.id))
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

extension PerdureError {
    /// Of a run beside the one that is verified: it is not here any more, or is told of by itself.
    fileprivate var isToldOfElsewhere: Bool { code == .runUnknown || isAboutOneHistory }
}
