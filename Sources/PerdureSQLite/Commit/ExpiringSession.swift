internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What a walk over expired runs asks of a file.
struct ExpiringSession: ExpiryGround {
    let session: Session

    private static let leftovers = SQL("SELECT number, last_seq FROM runs WHERE leftover <> 0 ORDER BY number LIMIT 1")
    // What is no name stands in a damaged row. That must not keep the others from expiring.
    private static let isName = "typeof(namespace) = 'text' AND namespace NOT GLOB '*[^-A-Za-z0-9_.]*'"
    private static let nextClosed = SQL(
        """
        SELECT namespace FROM runs INDEXED BY runs_closings
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND namespace > ?1 AND \(isName) ORDER BY namespace LIMIT 1
        """)
    private static let nextTombstones = SQL(
        """
        SELECT namespace FROM runs INDEXED BY runs_burials
        WHERE expired_at IS NOT NULL AND namespace > ?1 AND \(isName) ORDER BY namespace LIMIT 1
        """)
    private static let candidates = SQL(
        """
        SELECT number, closed_at FROM runs INDEXED BY runs_closings
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND namespace = ?1 AND (closed_at, number) > (?2, ?3) AND closed_at < ?4
        ORDER BY closed_at, number LIMIT ?5
        """)
    private static let isAtRest = SQL(
        """
        SELECT 1 FROM runs WHERE number = ?1 AND owner IS NULL AND state IN ('completed', 'failed', 'cancelled', 'terminated')
            AND NOT EXISTS (SELECT 1 FROM inbox WHERE run = ?1 AND consumed = 0)
        """)
    /// What is called off by nothing but its own end. A detached child is none of the run's business.
    private static let opens = """
        kind IN ('step.in_doubt', 'undo.in_doubt', 'child.started') AND (kind <> 'child.started'
            OR CASE WHEN json_valid(attributes) THEN json_extract(attributes, '$.detached') END IS NOT 1)
        """
    private static let openings = SQL(
        """
        SELECT min(seq), (SELECT max(seq) FROM events WHERE run = ?1) FROM events INDEXED BY events_openings
        WHERE run = ?1 AND \(opens)
        """)
    /// One pass: runs with very many children close too.
    private static let hasOpening = SQL(
        """
        SELECT 1 FROM events INDEXED BY events_places
        WHERE run = ?1 AND seq >= ?2 AND (substr(kind, 1, 5) IN ('step.', 'undo.') OR \(opens)
            OR kind IN ('child.completed', 'child.failed', 'child.cancelled'))
        GROUP BY subject, substr(kind, 1, 5) HAVING max(seq) = max(CASE WHEN \(opens) THEN seq END) LIMIT 1
        """)
    private static let archive = SQL(
        "SELECT archived_hash, archive_digest FROM runs WHERE number = ?1 AND archived_at IS NOT NULL")
    private static let bury = SQL(
        """
        UPDATE runs SET expired_at = ?2, last_seq = ?3, last_hash = ?4, leftover = 1, note = NULL, wake_at = NULL
        WHERE number = ?1
        """)
    private static let deleteMarks = SQL("DELETE FROM marks WHERE run = ?1")
    private static let deleteLabels = SQL("DELETE FROM labels WHERE run = ?1")
    private static let deleteEvents = SQL(
        """
        DELETE FROM events WHERE position IN (
            SELECT position FROM events WHERE run = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)
        """)
    private static let deleteBlobs = SQL("DELETE FROM blobs WHERE number IN (SELECT number FROM blobs WHERE run = ?1 LIMIT ?2)")
    private static let deleteInbox = SQL("DELETE FROM inbox WHERE number IN (SELECT number FROM inbox WHERE run = ?1 LIMIT ?2)")
    private static let settled = SQL("UPDATE runs SET leftover = 0 WHERE number = ?1")
    private static let tombstones = SQL(
        """
        SELECT number FROM runs INDEXED BY runs_burials
        WHERE expired_at IS NOT NULL AND namespace = ?1 AND expired_at < ?2 AND leftover = 0 ORDER BY expired_at, number LIMIT ?3
        """)
    private static let deleteEnd = SQL("DELETE FROM events WHERE run = ?1")
    // Only who knows what is set for the namespace does this before it deletes: see the schema.
    private static let release = SQL("UPDATE runs SET leftover = 1 WHERE number = ?1")
    private static let deleteRun = SQL("DELETE FROM runs WHERE number = ?1")

    func terms() throws -> [String: RetentionTerms] { try session.terms() }

    func nextNamespace(after name: String, _ part: ExpiryPosition.Part) throws -> String? {
        try session.first(part == .closed ? Self.nextClosed : Self.nextTombstones, name) { try $0.text(0) }
    }

    func leftover() throws -> (run: Int64, last: Int64)? {
        try session.first(Self.leftovers) { (try $0.integer(0), try $0.integer(1)) }
    }

    func closed(after place: ExpiryPosition, before time: Timestamp, limit: Int) throws -> [ExpiryCandidate] {
        try session.all(Self.candidates, place.namespace, place.closedAt, place.run, time, limit) {
            ExpiryCandidate(number: try $0.integer(0), closedAt: Timestamp(microseconds: try $0.integer(1)))
        }
    }

    func isAtRest(_ run: Int64) throws -> Bool { try session.exists(Self.isAtRest, run) }

    func openings(of run: Int64) throws -> (first: Int64, last: Int64)? {
        let span = try session.first(Self.openings, run) { (try $0.optionalInteger(0), try $0.optionalInteger(1)) }
        guard let first = span?.0, let last = span?.1 else { return nil }
        return (first, last)
    }

    func hasOpening(_ run: Int64, from seq: Int64) throws -> Bool { try session.exists(Self.hasOpening, run, seq) }

    func expiring(_ run: Int64) throws -> ExpiringRun {
        guard let record = try session.run(run), let head = try session.head(of: run) else {
            throw BadRow("run number \(run) has no events")
        }
        let archive = try session.first(Self.archive, run) {
            ArchivedHistory(run: run, lastHash: try EventHash($0, 0), digest: try $0.bytes(1))
        }
        return ExpiringRun(record: record, head: head, archive: archive)
    }

    func readableID(of run: Int64) throws -> RunID? { try session.readableID(of: run) }

    func bury(_ run: Int64, _ end: Event, last: ChainHead, at time: Timestamp) throws {
        try session.append([end], to: run)
        try session.execute(Self.bury, run, time, last.seq, last.hash.bytes)
        try session.execute(Self.deleteMarks, run)
        try session.execute(Self.deleteLabels, run)
    }

    func removeEvents(of run: Int64, through seq: Int64, limit: Int) throws -> Int {
        try session.execute(Self.deleteEvents, run, seq, limit)
    }

    func removeBlobs(of run: Int64, limit: Int) throws -> Int { try session.execute(Self.deleteBlobs, run, limit) }

    func removeMessages(of run: Int64, limit: Int) throws -> Int { try session.execute(Self.deleteInbox, run, limit) }

    func settle(_ run: Int64) throws {
        try session.forget(run)
        try session.dropWake(of: run)
        try session.execute(Self.settled, run)
    }

    func tombstones(of namespace: String, before time: Timestamp, limit: Int) throws -> [Int64] {
        try session.all(Self.tombstones, namespace, time, limit) { try $0.integer(0) }
    }

    func removeTombstones(_ runs: [Int64]) throws {
        for run in runs {
            try session.execute(Self.deleteEnd, run)
            try session.execute(Self.release, run)
            try session.execute(Self.deleteRun, run)
        }
    }
}
