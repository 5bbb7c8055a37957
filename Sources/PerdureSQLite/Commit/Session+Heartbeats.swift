internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension Session {
    private static let isOwned = SQL(
        "SELECT owner = ?2 AND epoch = ?3 AND closed_at IS NULL FROM runs WHERE number = ?1")
    private static let beat = SQL(
        """
        INSERT INTO heartbeats (run, subject, is_undo, at, details) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (run, subject, is_undo) DO UPDATE SET
            at = excluded.at, details = coalesce(excluded.details, heartbeats.details)
        """)
    private static let anyBeat = SQL("SELECT 1 FROM heartbeats LIMIT 1")
    private static let deleteOne = SQL("DELETE FROM heartbeats WHERE run = ?1 AND subject = ?2 AND is_undo = ?3")
    private static let deleteAll = SQL("DELETE FROM heartbeats WHERE run = ?1")
    private static let select = SQL(
        """
        SELECT subject, is_undo, at, details FROM heartbeats
        WHERE run = ?1 AND (?2 IS NULL OR subject = ?2) ORDER BY subject, is_undo
        """)

    /// Keeps the latest sign of life, from the owner of the run only.
    func beat(_ heartbeat: Heartbeat, node: NodeID?, now: Timestamp) throws -> CommitResult {
        let isOwned = try first(Self.isOwned, heartbeat.run, node, heartbeat.epoch) { try $0.optionalInteger(0) == 1 }
        guard let isOwned else { return .refused(.runUnknown) }
        guard isOwned else { return .refused(.conflict) }
        try execute(
            Self.beat, heartbeat.run, heartbeat.subject, heartbeat.isUndo, now, heartbeat.details.map(Readable.init))
        mayHaveHeartbeats = true
        return .advanced
    }

    /// What an event makes pointless: signs of life of a step or undo that is settled by it, or begins anew.
    func forgetHeartbeats(after event: Event, of run: Int64) throws {
        switch event.kind {
        case .stepSucceeded, .stepFailed, .stepCancelled, .stepResolved:
            if try hasHeartbeats() { try execute(Self.deleteOne, run, event.subject, false) }
        case .undoSucceeded, .undoResolved:
            if try hasHeartbeats() { try execute(Self.deleteOne, run, event.subject, true) }
        case .runReset: try forgetHeartbeats(of: run)
        default: break
        }
    }

    func forgetHeartbeats(of run: Int64) throws {
        if try hasHeartbeats() { try execute(Self.deleteAll, run) }
    }

    /// Whether there may be any at all. Most stores never have one, and every step that succeeds asks. Heartbeats come in through the
    /// connection that settles steps; transactional ones, which are settled on another connection, have none.
    private func hasHeartbeats() throws -> Bool {
        if let known = mayHaveHeartbeats { return known }
        let hasAny = try exists(Self.anyBeat)
        mayHaveHeartbeats = hasAny
        return hasAny
    }

    func heartbeats(of run: Int64, _ subject: String?) throws -> [HeartbeatRecord] {
        try all(Self.select, run, subject) { row in
            HeartbeatRecord(
                subject: try row.text(0), isUndo: try row.integer(1) == 1, at: Timestamp(microseconds: try row.integer(2)),
                details: try row.optionalBytes(3))
        }
    }
}
