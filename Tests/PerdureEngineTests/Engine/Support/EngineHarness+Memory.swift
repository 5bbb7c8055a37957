import Perdure
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

extension EngineHarness {
    /// Waits until a run in memory has heard of the end of a body and cannot record it, because its last commit hangs. Nothing tells of
    /// that, so that this has to look again and again.
    func untilBodyHasEnded(of run: RunID) async throws {
        let record = try await record(run), engine = try engine
        let activation = try #require(engine.state.withLock { $0.table[record.number] })
        while !activation.state.withLock({ $0.facts.contains { $0.fact.endedBody != nil } }) {
            await Task.yield()
            try Task.checkCancellation()
        }
    }
}
