import Foundation
import GRDB
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

/// Another kind of store than the one that the engine has.
private struct Elsewhere: TransactionalStore {
    typealias Connection = Int
    static let name = "another database"
}

/// Steps that write in the file of the histories: exactly once, whatever crashes.
@Suite(.timeLimit(.minutes(5))) struct TransactionalStepTests {
    /// Inserts a row, with an undo that deletes it.
    private static func book(
        _ item: String, _ context: WorkflowContext, policy: StepPolicy = .plain(), approval: ApprovalRequirement? = nil,
        _ also: @escaping @Sendable (SQLiteTransaction) throws -> Void = { _ in }
    ) async throws -> Int {
        try await context.step(
            "book", id: item, input: item, .transactional(in: .sqlite), policy: policy, approval: approval
        ) { item, connection in
            try connection.execute("CREATE TABLE IF NOT EXISTS bookings (item TEXT NOT NULL)")
            try connection.execute("INSERT INTO bookings VALUES (?)", item)
            try also(connection)
            return Int(connection.lastInsertedRow)
        } undo: { (row: Int, connection: SQLiteTransaction) in
            try connection.execute("DELETE FROM bookings WHERE rowid = ?", row)
        }
    }

    private func bookings(_ harness: EngineHarness) throws -> [String] {
        let queue = try DatabaseQueue(path: harness.path)
        defer { try? queue.close() }
        return try queue.read { database in
            guard try database.tableExists("bookings") else { return [] }
            return try String.fetchAll(database, sql: "SELECT item FROM bookings ORDER BY rowid")
        }
    }

    @Test func workThatHoldsUpEveryOtherWriteOutsideOfSQLIsTalkedAbout() async throws {
        try await withEngines { harness in
            let effects = harness.effects, mayEnd = DispatchSemaphore(value: 0)
            try await harness.open {
                Flow { _, context in
                    let row = try await Self.book("one", context) { _ in
                        effects.add("work")
                        mayEnd.wait()
                    }
                    return "\(row)"
                }
            }
            let run = try await harness.start()
            try await harness.until { effects.count("work") == 1 }
            harness.clock.advance(by: .seconds(3))
            try await harness.until {
                harness.logs.entries.contains {
                    $0.message.hasPrefix("the work of a transactional step takes long") && $0.metadata["step"] == "book[one]"
                        && $0.metadata["run"] == "\(run.id)"
                }
            }
            // On a slow machine it may have been too late for the first attempt.
            for _ in 0..<20 { mayEnd.signal() }
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(try bookings(harness) == ["one"])
        }
    }

    // Promise: 4, 13
    @Test func aTransactionalStepWritesOnceWhereverTheCrashIs() async throws {
        try await CrashSweep { harness in
            [
                RegisteredWorkflow(
                    Flow { input, context in
                        let one = try await Self.book("one", context), two = try await Self.book("two", context)
                        return "\(one) \(two)"
                    })
            ]
        } drive: { _, _ in
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "1 2", "crash at commit \(number)")
            #expect(try bookings(harness) == ["one", "two"], "crash at commit \(number)")
            let lines = try await harness.lines(run).filter { $0.contains("book") }
            #expect(lines == ["step.succeeded book[one]", "step.succeeded book[two]"], "crash at commit \(number)")
        }.run()
    }

    // Promise: 4
    @Test func aProcessThatDiesBetweenTheWorkAndItsCommitLeavesNothingOfIt() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in
                let row = try await Self.book("one", context)
                return "\(row)"
            }
            // A transaction is a commit without items.
            harness.script.set { call in
                if case .commit(_, let items) = call, items.isEmpty { .dieDuring } else { .apply }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            #expect(try bookings(harness) == [])
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "1")
            #expect(try bookings(harness) == ["one"])
            #expect(
                try await harness.lines(run.id) == ["run.started", "run.resumed", "step.succeeded book[one]", "run.completed"])
        }
    }

    // Promise: 4
    @Test func aTransactionWhoseAnswerWasLostIsNotMadeAgain() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.isEmpty, effects.count("work") == 0 else { return .apply }
                return .applyAndFail(.outcomeUnknown("lost by plan"))
            }
            try await harness.open {
                Flow { _, context in
                    let row = try await Self.book("one", context) { _ in effects.add("work") }
                    return "\(row)"
                }
            }
            let run = try await harness.start()
            try await harness.advanceUntil(by: .milliseconds(10)) { try await harness.record(run.id).state.isFinal }
            #expect(try await run.result() == "1")
            #expect(effects.count("work") == 1)
            #expect(try bookings(harness) == ["one"])
        }
    }

    @Test func aTransactionThatHasToWaitForOtherNodesUsesUpNoAttempt() async throws {
        try await withEngines { harness in
            let refusals = Mutex(0)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.isEmpty, refusals.withLock({ $0 }) < 5 else { return .apply }
                refusals.withLock { $0 += 1 }
                return .fail(.awaitsNodes([NodeID(rawValue: "node-2")]))
            }
            try await harness.open {
                Flow { _, context in "\(try await Self.book("one", context, policy: .plain(attempts: 1)))" }
            }
            let run = try await harness.start()
            try await harness.advanceUntil(by: .milliseconds(10)) { try await harness.record(run.id).state.isFinal }
            #expect(try await run.result() == "1")
            #expect(refusals.withLock { $0 } == 5)
            #expect(try await harness.lines(run.id) == ["run.started", "step.succeeded book[one]", "run.completed"])
        }
    }

    @Test func anErrorOfTheWorkTakesItBackAndIsDefinite() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { _, context in
                    let row = try await Self.book("one", context) { _ in
                        effects.add("try")
                        if effects.count("try") < 3 { throw Hiccup() }
                    }
                    return "\(row)"
                }
            }
            let run = try await harness.start()
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(try await run.result() == "1")
            #expect(try bookings(harness) == ["one"])
            #expect(try await harness.count("step.attempt_failed book[one]", in: run.id) == 2)
            #expect(try await harness.attributes(.stepAttemptFailed, of: run.id)["definite"] == true)
            #expect(try await harness.attributes(.stepSucceeded, of: run.id)["effect"] == "transactional")
        }
    }

    @Test func whatTheDatabaseRefusesIsThrownToTheCode() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    do {
                        let row = try await Self.book("one", context) { try $0.execute("INSERT INTO bookings VALUES (NULL)") }
                        return "\(row)"
                    } catch let failure as StepFailure {
                        return failure.decoded(as: SQLiteError.self)?.message ?? "none"
                    }
                }
            }
            let run = try await harness.start()
            #expect(try await run.result().contains("NOT NULL constraint failed"))
            #expect(try bookings(harness) == [])
        }
    }

    @Test func aResultThatCannotBeRecordedTakesTheWorkBack() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.payloadLimit = 64 }) {
                Flow { input, context in
                    try await context.step("book", input: input, .transactional(in: .sqlite), irreversible: "x") {
                        _, connection in
                        try connection.execute("CREATE TABLE bookings (item TEXT)")
                        return String(repeating: "x", count: 100)
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .failed)
            #expect(try await harness.count("step.failed book", in: run.id) == 1)
            #expect(try bookings(harness) == [])
        }
    }

    @Test func transactionsOfOneRunTakeTurns() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await withThrowingTaskGroup(of: Int.self) { group in
                        for item in 1...5 { group.addTask { try await Self.book("\(item)", context) } }
                        let sum = try await group.reduce(0, +)
                        return "\(sum)"
                    }
                }
            }
            let run = try await harness.start()
            #expect(try await run.result() == "15")
            #expect(try Set(bookings(harness)) == ["1", "2", "3", "4", "5"])
        }
    }

    @Test func anUndoIsATransactionToo() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    _ = try await Self.book("one", context)
                    try await context.act("keep", input: "two", .transactional(in: .sqlite), irreversible: "it stays") {
                        item, connection in
                        try connection.execute("INSERT INTO bookings VALUES (?)", item)
                    }
                    throw Rejected("late")
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .failed)
            #expect(try bookings(harness) == ["two"])
            #expect(
                try await harness.lines(run.id).suffix(3) == ["undo.started book[one]", "undo.succeeded book[one]", "run.failed"])
            #expect(try await harness.problems(run.id) == [])
        }
    }

    @Test func theIntentOfAnApprovedTransactionIsCommittedBeforeIt() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    let row = try await Self.book("one", context, approval: .required(by: .anyone, within: .days(1)))
                    return "\(row)"
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, has: "approval.requested book[one]")
            #expect(try bookings(harness) == [])
            let approval = try #require(try await harness.observer().pendingApprovals(of: run.id).first)
            try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            #expect(try await run.result() == "1")
            #expect(
                try await harness.lines(run.id).suffix(4) == [
                    "approval.consumed book[one]", "step.intended book[one]", "step.succeeded book[one]", "run.completed",
                ])
            #expect(try await harness.problems(run.id) == [])
        }
    }

    @Test func workForAnotherKindOfStoreBlocksTheRun() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "book", input: input, TransactionalEffect<Elsewhere>(), irreversible: "x"
                    ) {
                        text, _ in text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note?.contains("a transaction of another database") == true)
        }
    }
}
