import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

/// How many runs come through at the first attempt.
@Suite(.timeLimit(.minutes(5))) struct AttemptReportTests {
    private static func flow(_ effects: Effects) -> Flow {
        Flow { input, context in
            if input == "book" {
                _ = try await context.step("book", input: 1, .transactional(in: .sqlite), policy: .plain()) { _, connection in
                    try connection.execute("CREATE TABLE IF NOT EXISTS bookings (item TEXT NOT NULL)")
                    return 1
                } undo: { (_: Int, _: SQLiteTransaction) in
                }
                return input
            }
            return try await context.step("charge", input: input, .idempotent(retention: .forever), policy: .plain()) {
                input, step in
                effects.add(input)
                if input == "late", step.attempt < 3 { throw Hiccup() }
                if input == "lost" { throw Hiccup(isDefinite: true, isRetryable: false) }
                return input
            } undo: { _, _ in
            }
        }
    }

    // Promise: 48
    @Test func `closed runs without a failed attempt are counted, and failures of the engine apart`() async throws {
        try await withEngines { harness in
            let hasFailed = Mutex(false)
            // A transaction is a commit without items.
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.isEmpty, !hasFailed.withLock({ $0 }) else { return .apply }
                hasFailed.withLock { $0 = true }
                return .fail(.unavailable("by plan"))
            }
            let effects = harness.effects
            try await harness.open { Self.flow(effects) }
            var runs: [RunID] = []
            for input in ["well", "book", "late", "lost", "well"] { runs.append(try await harness.start(input).id) }
            for run in runs {
                try await harness.advanceUntil(by: .milliseconds(100)) { try await harness.record(run).state.isFinal }
            }
            let observer = try await harness.observer()
            let report = try #require(try await observer.attempts().reports.first)
            #expect(report.workflow == "flow" && report.closed == 5 && report.atFirstAttempt == 2 && report.unread == 0)
            #expect(report.failedAttempts == 3 && report.failedByEngine == 1)
            #expect(report.firstAttemptRate == 0.4)
            #expect(try await observer.attempts(of: "other").reports.isEmpty)
            #expect(try await observer.attempts(since: harness.clock.now().date + 1).reports.isEmpty)
        }
    }

    // Promise: 48
    @Test func `a run whose process died has no failed attempt for that`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: \.completes) else { return .apply }
                return .dieBefore
            }
            try await harness.open { Self.flow(effects) }
            let run = try await harness.start("well")
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open { Self.flow(effects) }
            #expect(try await harness.result(run.id) == "well")
            #expect(effects.count("well") == 2)
            let report = try #require(try await harness.observer().attempts().reports.first)
            #expect(report.atFirstAttempt == 1 && report.failedAttempts == 0 && report.failedByEngine == 0)
        }
    }
}

extension CommitItem {
    fileprivate var completes: Bool {
        guard case .advance(let advance) = self else { return false }
        return advance.events.contains { $0.kind == .stepSucceeded }
    }
}
