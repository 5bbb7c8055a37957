package import Perdure
package import PerdureHistory

/// What somebody waits for: the end of a run, or its reply to one update.
package struct RunWait: Sendable, Hashable {
    package var run: RunID
    /// The delivery id of the update; nil for whoever waits for the end only.
    package var update: String?

    package init(run: RunID, update: String? = nil) {
        self.run = run
        self.update = update
    }
}

extension RunState {
    /// Whether nothing more comes of waiting for the run: it has ended, or will never be executed again.
    package var endsWaits: Bool { isFinal || self == .quarantined }
}

extension EventKind {
    /// What answers an update. The subject is its delivery id.
    package static let replies: [EventKind] = [.updateCompleted, .updateRejected]
}

extension Store {
    /// For stores that have nothing to gain from reading them together.
    package func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        var ended: [RunWait] = []
        for wait in waits where try await isEnded(wait) { ended.append(wait) }
        return ended
    }

    private func isEnded(_ wait: RunWait) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            guard let record = try await run(wait.run), !record.state.endsWaits else { return true }
            guard let update = wait.update else { return false }
            for kind in EventKind.replies where try await !marked(kind, update, in: record.number).isEmpty { return true }
            return false
        } catch {
            switch error {
            // Whoever waits for this run is told when he looks; the others must not wait for it.
            case .corrupt, .unsupported: return true
            case .unavailable, .awaitsNodes, .outcomeUnknown, .unusable, .leaseLost, .closed: throw error
            }
        }
    }
}
