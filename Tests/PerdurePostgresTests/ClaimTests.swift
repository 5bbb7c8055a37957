import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What a claim costs.
struct ClaimTests: TwoNodeTests {
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
}
