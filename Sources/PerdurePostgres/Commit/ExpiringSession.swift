internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What a walk over expired runs asks of a database. Rows that another process is at work on are left to it.
struct ExpiringSession: ExpiryGround {
    let session: Session
    /// The store's time.
    let now: Timestamp

    /// For how long a tombstone stays at least, whatever is set: a run that is gone sooner after its last commit is taken for a lost one.
    static let tombstonesStay = Duration.minutes(15)

    private static let leftovers = SQL(
        """
        SELECT number, last_seq FROM perdure.runs WHERE leftover ORDER BY number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """)
    static let nextClosed = SQL(
        """
        SELECT namespace FROM perdure.runs WHERE closed_at IS NOT NULL AND expired_at IS NULL AND namespace > $1::text
        ORDER BY namespace LIMIT 1
        """)
    static let nextTombstones = SQL(
        """
        SELECT namespace FROM perdure.runs WHERE expired_at IS NOT NULL AND namespace > $1::text ORDER BY namespace LIMIT 1
        """)
    // Said as places in the order of the one index: as conditions on single columns it would be answered by `runs_closed` as well, where
    // one namespace has nearly all runs, and then at the cost of all that others keep.
    static let candidates = SQL(
        """
        SELECT number, closed_at FROM perdure.runs
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND (namespace, closed_at, number) > ($1::text, $2::bigint, $3::bigint)
            AND (namespace, closed_at) < ($1::text, $4::bigint)
        ORDER BY namespace, closed_at, number LIMIT $5::bigint
        """)
    private static let lock = SQL("SELECT 1 FROM perdure.runs WHERE number = $1::bigint FOR NO KEY UPDATE SKIP LOCKED")
    private static let isAtRest = SQL(
        """
        SELECT 1 FROM perdure.runs WHERE number = $1::bigint AND owner IS NULL AND expired_at IS NULL
            AND state IN ('completed', 'failed', 'cancelled', 'terminated')
            AND NOT EXISTS (SELECT 1 FROM perdure.inbox WHERE run = $1::bigint AND NOT consumed)
        """)
    /// What is called off by nothing but its own end. A detached child is none of the run's business.
    private static let opens = """
        kind IN ('step.in_doubt', 'undo.in_doubt', 'child.started')
            AND (kind <> 'child.started' OR attributes NOT LIKE '%"detached":true%')
        """
    private static let openings = SQL(
        """
        SELECT min(seq), (SELECT max(seq) FROM perdure.events WHERE run = $1::bigint) FROM perdure.events
        WHERE run = $1::bigint AND \(opens)
        """)
    /// One pass: runs with very many children close too.
    private static let hasOpening = SQL(
        """
        SELECT 1 FROM perdure.events
        WHERE run = $1::bigint AND seq >= $2::bigint AND (substr(kind, 1, 5) IN ('step.', 'undo.') OR (\(opens))
            OR kind IN ('child.completed', 'child.failed', 'child.cancelled'))
        GROUP BY subject, substr(kind, 1, 5) HAVING max(seq) = max(seq) FILTER (WHERE \(opens)) LIMIT 1
        """)
    private static let archive = SQL(
        """
        SELECT archived_hash, archive_digest FROM perdure.runs WHERE number = $1::bigint AND archived_at IS NOT NULL
        """)
    private static let bury = SQL(
        """
        UPDATE perdure.runs SET expired_at = $2::bigint, last_seq = $3::bigint, last_hash = $4::bytea, leftover = true, note = NULL,
            wake_at = NULL
        WHERE number = $1::bigint
        """)
    private static let deleteMarks = SQL("DELETE FROM perdure.marks WHERE run = $1::bigint")
    private static let deleteLabels = SQL("DELETE FROM perdure.labels WHERE run = $1::bigint")
    private static let deleteEvents = SQL(
        """
        DELETE FROM perdure.events WHERE run = $1::bigint AND seq IN (
            SELECT seq FROM perdure.events WHERE run = $1::bigint AND seq <= $2::bigint ORDER BY seq LIMIT $3::bigint)
        """)
    private static let deleteBlobs = SQL(
        """
        DELETE FROM perdure.blobs WHERE run = $1::bigint AND digest IN (
            SELECT digest FROM perdure.blobs WHERE run = $1::bigint LIMIT $2::bigint)
        """)
    private static let deleteInbox = SQL(
        """
        DELETE FROM perdure.inbox WHERE number IN (SELECT number FROM perdure.inbox WHERE run = $1::bigint LIMIT $2::bigint)
        """)
    private static let forgetWaits = SQL("DELETE FROM perdure.business_key_waiters WHERE run = $1::bigint")
    private static let forgetRequests = SQL("DELETE FROM perdure.open_requests WHERE run = $1::bigint")
    private static let forgetBeats = SQL("DELETE FROM perdure.heartbeats WHERE run = $1::bigint")
    private static let dropWake = SQL("DELETE FROM perdure.wakes WHERE run = $1::bigint")
    private static let settled = SQL("UPDATE perdure.runs SET leftover = false WHERE number = $1::bigint")
    static let tombstones = SQL(
        """
        SELECT number FROM perdure.runs
        WHERE expired_at IS NOT NULL AND (namespace, expired_at) > ($1::text, \(Int64.min))
            AND (namespace, expired_at) < ($1::text, $2::bigint) AND NOT leftover
        ORDER BY namespace, expired_at, number LIMIT $3::bigint FOR UPDATE SKIP LOCKED
        """)
    private static let deleteEnds = SQL("DELETE FROM perdure.events WHERE run = ANY($1::bigint[])")
    // Only who knows what is set for the namespace does this before it deletes: see the schema.
    private static let release = SQL("UPDATE perdure.runs SET leftover = true WHERE number = ANY($1::bigint[])")
    private static let deleteRuns = SQL("DELETE FROM perdure.runs WHERE number = ANY($1::bigint[])")

    func terms() throws -> [String: RetentionTerms] { try session.terms() }

    func nextNamespace(after name: String, _ part: ExpiryPosition.Part) throws -> String? {
        try session.first(part == .closed ? Self.nextClosed : Self.nextTombstones, name) { try $0.text(0) }
    }

    func leftover() throws -> (run: Int64, last: Int64)? {
        try session.first(Self.leftovers) { (try $0.integer(0), try $0.integer(1)) }
    }

    func closed(after place: ExpiryPosition, before time: Timestamp, limit: Int) throws -> [ExpiryCandidate] {
        try session.all(Self.candidates, place.namespace, place.closedAt, place.run, time, limit) {
            ExpiryCandidate(number: try $0.integer(0), closedAt: try $0.time(1))
        }
    }

    func isAtRest(_ run: Int64) throws -> Bool {
        guard try session.exists(Self.lock, run) else { return false }
        return try session.exists(Self.isAtRest, run)
    }

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
            ArchivedHistory(run: run, lastHash: try $0.hash(0), digest: try $0.bytes(1))
        }
        return ExpiringRun(record: record, head: head, archive: archive)
    }

    func readableID(of run: Int64) throws -> RunID? { try session.readableID(of: run) }

    func bury(_ run: Int64, _ end: Event, last: ChainHead, at time: Timestamp) throws {
        var events = EventColumns()
        events.add(end, run)
        try session.pipeline { [events] pipe in
            try events.send(pipe)
            try pipe.execute(Self.bury, run, time, last.seq, Bytes(last.hash.bytes))
            try pipe.execute(Self.deleteMarks, run)
            try pipe.execute(Self.deleteLabels, run)
        }
    }

    func removeEvents(of run: Int64, through seq: Int64, limit: Int) throws -> Int {
        try session.execute(Self.deleteEvents, run, seq, limit)
    }

    func removeBlobs(of run: Int64, limit: Int) throws -> Int { try session.execute(Self.deleteBlobs, run, limit) }

    func removeMessages(of run: Int64, limit: Int) throws -> Int { try session.execute(Self.deleteInbox, run, limit) }

    func settle(_ run: Int64) throws {
        try session.pipeline { pipe in
            for sql in [Self.forgetWaits, Self.forgetRequests, Self.forgetBeats, Self.dropWake, Self.settled] {
                try pipe.execute(sql, run)
            }
        }
    }

    func tombstones(of namespace: String, before time: Timestamp, limit: Int) throws -> [Int64] {
        try session.all(Self.tombstones, namespace, min(time, now - Self.tombstonesStay), limit) { try $0.integer(0) }
    }

    func removeTombstones(_ runs: [Int64]) throws {
        guard !runs.isEmpty else { return }
        try session.pipeline { pipe in
            for sql in [Self.deleteEnds, Self.release, Self.deleteRuns] { try pipe.execute(sql, runs) }
        }
    }
}
