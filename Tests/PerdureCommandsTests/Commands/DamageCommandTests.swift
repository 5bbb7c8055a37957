import GRDB
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What commands say of a store of which something cannot be read, or is wrong.
@Suite(.timeLimit(.minutes(5))) struct DamageCommandTests {
    /// A store with a run that has completed (1) and two that are parked (2 and 3).
    private func withRuns(_ body: (Desk, [String]) async throws -> Void) async throws {
        let desk = try Desk()
        var runs: [String] = []
        try await desk.hosting { engine in
            runs.append(try await desk.start(engine, "greet", #"{"name":"A"}"#))
            try await desk.untilClosed(runs[0])
            for workflow in ["stuck", "doubt"] {
                let run = try await desk.start(engine, workflow)
                try await desk.until(run) { record, _ in record.state == .parked }
                runs.append(run)
            }
        }
        try await body(desk, runs)
    }

    private func tamper(_ desk: Desk, _ sql: String) throws {
        let queue = try DatabaseQueue(path: desk.path)
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    private static let unreadableRow = "UPDATE runs SET origin = 'x', origin_salt = x'00', origin_digest = '' WHERE number = "
    private static let laterRelease = "UPDATE events SET kind = 'step.dreamt' WHERE seq = 2 AND run = "

    @Test func aHistoryThatWasChangedIsWrongAtThePlaceWhereItWas() async throws {
        try await withRuns { desk, runs in
            try tamper(desk, "UPDATE events SET output = CAST('\"forged\"' AS BLOB) WHERE seq = 2 AND run = 1")
            let one = await desk.type("verify", runs[0])
            #expect(one.status == .failed && one.output.contains("WRONG at event 2 (chain)"))
            let all = await desk.type("verify", "--all")
            #expect(all.status == .failed && all.output.contains("3 runs verified, 1 wrong"))
            let json = await desk.type("verify", "--all", "--json").json
            let wrong = json?["runs"]?.arrayValue?.filter { $0["sound"] == false }
            #expect(json?["sound"] == false && wrong?.map { $0["run"] } == [.string(runs[0])])
        }
    }

    @Test func aRowThatCannotBeReadHidesNoOtherRun() async throws {
        try await withRuns { desk, runs in
            try tamper(desk, Self.unreadableRow + "2")
            let listed = await desk.type("list", "--json")
            #expect(listed.status == .store && listed.errors.contains("run number 2"))
            #expect(listed.json?.arrayValue?.map { $0["run"] } == [.string(runs[2]), .string(runs[0])])
            let narrowed = await desk.type("list", "--workflow", "doubt", "--json")
            #expect(narrowed.json?.arrayValue?.map { $0["run"] } == [.string(runs[2])])
            let waiting = await desk.type("approvals", "--json")
            #expect(waiting.status == .store && waiting.errors.contains("run number 2"))
            #expect(waiting.json?.arrayValue?.map { $0["run"] } == [.string(runs[2])])
            let checked = await desk.type("check", "--closed")
            #expect(checked.status == .failed && checked.output.contains("2 runs checked, 2 fit"))
            #expect(checked.output.contains("run number 2"))
            let verified = await desk.type("verify", "--all")
            #expect(verified.status == .failed && verified.output.contains("run number 2"))
            #expect(verified.output.contains("2 runs verified, all sound"))
        }
    }

    @Test func aHistoryOfALaterReleaseHidesNoOtherRun() async throws {
        try await withRuns { desk, runs in
            try tamper(desk, Self.laterRelease + "2")
            let verified = await desk.type("verify", "--all")
            #expect(verified.status == .failed && verified.output.contains("3 runs verified, 1 wrong"))
            #expect(verified.output.contains("WRONG at the run's row (readable)") && verified.output.contains("'step.dreamt'"))
            let waiting = await desk.type("approvals", "--json")
            let items = waiting.json?.arrayValue
            #expect(waiting.status == .success)
            #expect(Set(items?.compactMap { $0["run"]?.stringValue } ?? []) == Set(runs.dropFirst()))
            let unread = items?.first { $0["run"] == .string(runs[1]) }
            #expect(unread?["kind"] == "parked" && unread?["details"]?.stringValue?.contains("cannot be read") == true)
        }
    }

    @Test func aForkOfAHistoryOfALaterReleaseIsVerifiedByItself() async throws {
        let desk = try Desk()
        var run = "", fork = ""
        try await desk.hosting { engine in
            run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
            fork = try #require(await desk.type("fork", run, "--at", "2", "--json").json?["fork"]?.stringValue)
            try await desk.until(fork) { record, view in record.state == .waiting && view.step("prepare")?.isOver == true }
        }
        try tamper(desk, Self.laterRelease + "1")
        let one = await desk.type("verify", fork)
        #expect(one.status == .success && one.errors.isEmpty, "the source is told of by itself")
        let source = await desk.type("verify", run, "--json")
        #expect(source.status == .failed && source.json?["sound"] == false)
        let all = await desk.type("verify", "--all")
        #expect(all.status == .failed && all.output.contains("2 runs verified, 1 wrong"))
    }

    @Test(arguments: [unreadableRow + "2", laterRelease + "2"])
    func aSuccessorThatCannotBeReadIsToldOfByItself(damage: String) async throws {
        let desk = try Desk()
        let run = try #require(await desk.type("start", "relay", "--json").json?["run"]?.stringValue)
        let all = await desk.type("list", "--json").json?.arrayValue?.compactMap { $0["run"]?.stringValue } ?? []
        #expect(all.count == 2 && all.first == run)
        try tamper(desk, damage)
        let first = try #require(all.last)
        #expect(await desk.type("verify", first).status == .success)
        let verified = await desk.type("verify", "--all")
        #expect(verified.status == .failed && verified.output.contains("WRONG"))
        #expect(!verified.output.contains("\(first)  relay"), "the first one is sound")
    }
}
