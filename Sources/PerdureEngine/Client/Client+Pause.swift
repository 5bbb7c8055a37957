public import Perdure
import PerdureHistory
import PerdureStore

// Runs that are to stand still for a while, or to go on with other code.
extension Client {
    /// Stops the run: nothing more is started until `unpause`. Attempts that are under way end and are recorded first.
    ///
    /// Works for every run that is not closed, also where its code is not hosted or does not fit. While it is paused, `terminate`,
    /// `resolve`, `repin`, `reset` and `unpause` work; every other message waits. Time goes on: timers, expiries and the deadline that pass
    /// meanwhile count when the run goes on, in the order of their times. Children go on. A run that is paused already stays so; its
    /// history says that it was asked again.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `name_invalid` (the id) or `payload_too_large`.
    public func pause(_ run: RunID, reason: String? = nil, id: String? = nil, by sender: Principal) async throws {
        try await send(run, .pause, payload: try reason.map { try encoded($0) }, id: id, by: sender)
    }

    /// Lets a paused run go on where it was; a pause that has not taken effect yet is ended as well. Of a run that is not paused, its
    /// history says that it was asked.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed` or `name_invalid` (the id).
    public func unpause(_ run: RunID, id: String? = nil, by sender: Principal) async throws {
        try await send(run, .unpause, id: id, by: sender)
    }

    /// Lets the run go on with the code of another version, from where it is. What is under way ends and is recorded first.
    ///
    /// The code of the other version replays the history as it stands: if it asks for something else, the run is blocked, and can be
    /// pinned to a third version, or back. Needs no code, neither of the one version nor of the other; the run waits until somebody hosts
    /// the other one. A paused run stays paused, a poisoned one waits for its `retry`. Of a run that was continued, the last one is pinned.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_closed`, `name_invalid` for what cannot be a version or an id, or `usage` if the
    ///   run is on that version already.
    public func repin(_ run: RunID, to version: WorkflowVersion, id: String? = nil, by sender: Principal) async throws {
        guard version.isValid else {
            throw PerdureError(
                .nameInvalid, "'\(version)' cannot be a version: use up to 64 letters, digits, '-' and '_' in parts with dots.")
        }
        let payload = try encoded(version.description)
        try await once(id, .repin, "", [payload], to: run) {
            let latest = try await latestRecord(of: run)
            guard latest.version != version.description else {
                throw PerdureError(
                    .usage, "Run \(latest.id) is on version \(version) already.", metadata: [("run", latest.id.description)])
            }
            try await send(run, .repin, payload: payload, id: id, by: sender)
        }
    }
}
