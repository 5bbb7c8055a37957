public import Perdure
import PerdureHistory
import PerdureStore

// Ending what a recovery has begun, for one run.
extension Client {
    /// Says that somebody has looked at what the lost part of the run's history may have sent, and that nothing of it is outstanding. What
    /// the run asks for from then on is sent as if nothing had been lost, and so is what it is continued as and what the children do that
    /// it starts.
    ///
    /// Steps that are in doubt stay so: each needs its `resolve`. Children that were started before have marks of their own. Of a run that
    /// was continued, the last one is meant. It speaks of the mark that stands when it is said: another loss marks the run again, and a
    /// word from before it is refused.
    ///
    /// - Parameter reason: Recorded.
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `payload_too_large`, `name_invalid` (the id), or `run_not_restored` if
    ///   nothing is marked. With `store_unavailable`, if `mayHaveHappened`, it is not known whether it was accepted; saying it again does
    ///   no harm.
    public func settleLoss(of run: RunID, reason: String? = nil, id: String? = nil, by sender: Principal) async throws {
        try await once(id, .settleLoss, "", nil, to: run) {
            let latest = try await latestRecord(of: run)
            guard latest.closedAt == nil else {
                throw PerdureError(.runClosed, "Run \(latest.id) is over.", metadata: [("run", latest.id.description)])
            }
            let view = try await view(of: latest.id)
            guard view.lostPart != nil, let mark = view.lossMark else {
                throw PerdureError(
                    .runNotRestored, "Nothing of run \(latest.id) is marked as lost.",
                    metadata: [("run", latest.id.description)])
            }
            try await send(
                run, .settleLoss, payload: try encoded(LossSettlement(mark: mark, reason: reason)), id: id, by: sender)
        }
    }
}
