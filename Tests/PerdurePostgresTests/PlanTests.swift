import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What the server is had to look at: nothing that grows with the store.
struct PlanTests: TwoNodeTests {
    @Test func `a claim looks at the runs that may be claimed, however many others there are`() async throws {
        try await withNodes { one, _, _ in
            // As on every connection that claims, while the server knows nothing of the tables yet: such plans stay.
            let plans = try await one.writer.perform { session in
                let claimable = SQL("EXPLAIN \(Session.claimable.text)"),
                    toldAnyone = SQL("EXPLAIN \(ClaimCandidates.toldAnyone.text)")
                return [
                    try session.all(claimable, [Int64(1)], ["w"], ["1"], Timestamp.epoch, "b", Timestamp.epoch) {
                        try $0.text(0)
                    },
                    try session.all(toldAnyone, 512) { try $0.text(0) },
                ].map { $0.joined(separator: "\n") }
            }
            #expect(plans[0].contains("Index Cond: (number = ANY"), "\(plans[0])")
            #expect(plans[1].contains("Index Cond: (number = wakes.run)"), "\(plans[1])")
        }
    }

    @Test func `a commit of steps looks at its runs and at their last events, however many others there are`() async throws {
        try await withNodes { one, _, _ in
            let plan = try await one.writer.perform { session in
                let none: [Int64] = [], texts: [String] = [], bytes: [Bytes] = []
                return try session.all(
                    SQL("EXPLAIN \(Appends.write.text)"), Timestamp?.none, "n", [Int64(1)], [Int64(1)], [Int64(1)],
                    [Bytes([1])], none, none, none, texts, texts, texts, bytes, none, bytes, none, none, texts, bytes, none,
                    texts,
                    [Bool]()
                ) { try $0.text(0) }.joined(separator: "\n")
            }
            #expect(plan.contains("Index Cond: (number = wanted.run)"), "\(plan)")
            #expect(plan.contains("Index Cond: (run = wanted.run)"), "\(plan)")
        }
    }

    @Test func `messages are found by their numbers, and what runs begin with run by run`() async throws {
        try await withNodes { one, _, _ in
            let plans = try await one.reader.perform { session in
                let owned = SQL("EXPLAIN \(PostgresStore.owned.text)"), inboxes = SQL("EXPLAIN \(Session.unreadOfEach.text)"),
                    events = SQL("EXPLAIN \(Session.firstEvents.text)")
                return [
                    try session.all(owned, "n", Int64(0), Int64(0), [Int64](), 10) { try $0.text(0) },
                    try session.all(inboxes, [Int64(1)]) { try $0.text(0) },
                    try session.all(events, [Int64(1)], 10) { try $0.text(0) },
                ].map { $0.joined(separator: "\n") }
            }
            #expect(plans[0].contains("Index Scan on inbox_arrivals"), "\(plans[0])")
            #expect(plans[1].contains("Index Cond: (run = wanted.run)"), "\(plans[1])")
            #expect(plans[2].contains("Index Cond: ((run = wanted.run) AND (seq > "), "\(plans[2])")
        }
    }
}
