public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// How runs end.
extension Engine {
    /// Waits for the run to close and returns its recorded output as JSON. Of a run that is continued as another one that is the output
    /// of the last of them.
    ///
    /// Runs move only while `run()` is being executed: called before that, this waits for it. Where several nodes share the store the run
    /// may end on any of them; of what another one does this hears about a quarter of a second later.
    ///
    /// - Throws: `PerdureError` with `run_failed`, `run_cancelled`, `run_terminated`, `run_quarantined`, `run_expired`, `run_unknown` (also
    ///   for a run of another namespace than the engine's), or `engine_stopped` if this engine ends first. With `run_failed`, `failure` is
    ///   what it failed with. Cancelling the task ends the wait, not the run.
    public func result(of id: RunID) async throws -> Data {
        var id = id
        while true {
            let record = try await tenant.latestRecord(of: id)
            if let successor = record.successor {
                throw PerdureError(
                    .storeCorrupt, "Run \(record.id) goes on as \(successor), which is not in this store.",
                    metadata: [("run", "\(record.id)")])
            }
            id = record.id
            if record.state.endsWaits { return try await output(of: record) }
            try Task.checkCancellation()
            try await waitForChange(of: id)
        }
    }

    private func waitForChange(of id: RunID) async throws {
        let isRunning = await waiters.wait(for: id) { [store] in
            // Whoever waits reads again then, and is told why it cannot be read.
            guard let record = try? await store.run(id) else { return true }
            return record.state.endsWaits
        }
        try Task.checkCancellation()
        if !isRunning {
            throw PerdureError(.engineStopped, "The engine has stopped; run \(id) goes on when the store is opened again.")
        }
    }

    func wakeWaiters(of id: RunID) {
        waiters.wake(id)
        schedules.hasEnded(id)
    }

    private func output(of record: RunRecord) async throws -> Data {
        if let quarantine = record.quarantine { throw quarantine }
        try record.requireHistory()
        guard let final = try await client.final(of: record) else {
            throw PerdureError(
                .storeCorrupt, "Run \(record.id) is closed but its history has no end.", metadata: [("run", "\(record.id)")])
        }
        switch final.kind {
        case .runCompleted:
            guard case .inline(let bytes)? = final.output else { return Data("{}".utf8) }
            return Data(bytes)
        case .runCancelled:
            throw PerdureError(.runCancelled, "Run \(record.id) was cancelled.", metadata: [("run", "\(record.id)")])
        case .runTerminated:
            throw PerdureError(.runTerminated, "Run \(record.id) was terminated.", metadata: [("run", "\(record.id)")])
        default:
            let failure = StepFailure(final, (try? final.attributes.object()) ?? JSONObject())
            throw PerdureError(
                .runFailed, "Run \(record.id) failed: \(failure.code): \(failure.message)", metadata: [("run", "\(record.id)")],
                failure: failure)
        }
    }
}
