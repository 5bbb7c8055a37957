import Foundation
import GRDB
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// What an operator does after a backup was put back.
@Suite(.timeLimit(.minutes(5))) struct RecoverCommandTests {
    @Test func aStoreThatWasRestoredIsRecoveredBeforeAnybodyGoesOn() async throws {
        let desk = try Desk()
        try await desk.hosting { engine in
            let run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
            #expect(await desk.type("recover", "--restored", "--yes").status != .success, "an engine is there")
        }
        #expect(await desk.type("recover").status == .usage)
        #expect(await desk.type("recover", "--restored", "--dry-run").output == "1 open run of \(desk.path) would be marked.\n")
        let unasked = await desk.type("recover", "--restored")
        #expect(unasked.status == .usage && unasked.errors.contains("--yes"))
        #expect(await desk.type("nodes", "--json").json?["held"] == false)
        let done = await desk.type("recover", "--restored", "--yes", "--json", as: "bob").json
        #expect(done?["recovered"] == true && done?["runs"] == 1 && done?["reason"]?.stringValue?.contains("bob") == true)
        let run = try #require(await desk.type("list", "--json").json?.arrayValue?.first?["run"]?.stringValue)
        let shown = await desk.type("show", run)
        #expect(shown.output.contains("what followed may be lost"))
        #expect(await desk.type("verify", "--all").status == .success)
    }

    /// A store with one run that waits, and no engine.
    private func waiting(_ desk: Desk) async throws -> String {
        var run = ""
        try await desk.hosting { engine in
            run = try await desk.start(engine, "wait")
            try await desk.until(run) { record, _ in record.state == .waiting }
        }
        return run
    }

    private func marks(_ desk: Desk, _ run: String) async throws -> Int {
        let client = try await Client(desk.store)
        let count = try await client.history(of: try #require(RunID(run))).count { $0.kind == .runRestored }
        await client.close()
        return count
    }

    @Test func whatNodesHaveNoticedIsWorkedOffWithoutAQuestionAndFromTheBeginningIfSomebodyBrokeOff() async throws {
        let desk = try Desk()
        let run = try await waiting(desk)
        let store = try await desk.store.open(.engine)
        let begun = try await store.beginRestoration(by: "node-7", reason: "event 3 is missing")
        // Somebody was at it, and was broken off before the last.
        #expect(try await store.markRestored(begun.number, limit: 1, by: Principal(.human, "bob")).isStanding)
        await store.close()
        #expect(await desk.type("nodes", "--json").json?["held"] == true)
        let look = await desk.type("recover", "--restored", "--dry-run")
        #expect(
            look.output == """
                The history of \(desk.path) went back, as node-7 found: event 3 is missing.
                1 open run of \(desk.path) would be marked.

                """)
        let dry = await desk.type("recover", "--restored", "--dry-run", "--json").json
        #expect(dry?["recovered"] == false && dry?["noticed_by"] == "node-7" && dry?["recovered_by"] == nil)
        #expect(try await marks(desk, run) == 1)
        let done = await desk.type("recover", "--restored")
        #expect(done.status == .success && done.output.contains("1 open run of \(desk.path) is marked"))
        #expect(try await marks(desk, run) == 2)
        #expect(await desk.type("nodes", "--json").json?["held"] == false)
        #expect(await desk.type("verify", "--all").status == .success)
    }

    @Test func aSecondTimeItAsksAndSaysWhoHasRecovered() async throws {
        let desk = try Desk()
        let run = try await waiting(desk)
        #expect(await desk.type("recover", "--restored", "--yes", as: "bob").status == .success)
        let asked = Mutex("")
        let second = await desk.type("recover", "--restored") { environment in
            environment.ask = { question in
                asked.withLock { $0 = question }
                return "n"
            }
        }
        #expect(second.status == .failed && asked.withLock { $0 }.contains("bob"))
        #expect(asked.withLock { $0 }.contains("Mark 1 open run of \(desk.path) all the same?"))
        #expect(try await marks(desk, run) == 1)
        #expect(await desk.type("recover", "--restored", answer: "y").status == .success)
        #expect(try await marks(desk, run) == 2)
    }

    @Test(arguments: [false, true]) func whatSomebodyElseRecoversMeanwhileIsNotDoneTwice(isNoticed: Bool) async throws {
        let desk = try Desk()
        let run = try await waiting(desk)
        let client = try await Client(recovering: desk.store)
        if isNoticed { _ = try await client.store.beginRestoration(by: "node-7", reason: "event 3 is missing") }
        // Two look, and both decide to do it.
        let seen = try await client.restoration()
        let first = try await client.recoverRestored(by: Principal(.human, "bob"), seen: seen)
        #expect(try await client.recoverRestored(by: Principal(.human, "ada"), seen: seen) == first)
        #expect(first.recoveredBy == Principal(.human, "bob"))
        await client.close()
        #expect(try await marks(desk, run) == 1)
    }

    @Test func theCommandSaysThatSomebodyElseWasFaster() async throws {
        let desk = try Desk()
        let run = try await waiting(desk)
        let path = desk.path
        let reply = await desk.type("recover", "--restored") { environment in
            environment.ask = { _ in
                try? LooseTables.use(path) { database in
                    try database.execute(
                        sql: """
                            INSERT INTO restorations (noticed_at, noticed_by, reason, marked_up_to, marked, lifted_at, lifted_by)
                            VALUES (1, 'bob', 'why', 1, 5, 2, '{"authentication":"","id":"bob","kind":"human"}')
                            """)
                }
                return "y"
            }
        }
        #expect(reply.status == .success)
        #expect(reply.output.contains("Meanwhile human bob has recovered it. 5 open runs of \(path) are marked"))
        #expect(try await marks(desk, run) == 0)
    }
}
