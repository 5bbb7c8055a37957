internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try requireEngine("remove what has expired")
        let time = options.clock?()
        return try await write { session in
            var remover = try Remover(session: session, request: request, time: time)
            return try remover.run()
        }
    }
}

/// One bounded round of removing, in one transaction. Rows that another process is at work on are left to it.
private struct Remover {
    let session: Session
    let request: ExpiryRequest
    let now: Timestamp
    /// How many rows may still be touched.
    private var room: Int
    private var answer: Expiry

    private struct Candidate {
        let number: Int64
        let closedAt: Timestamp
    }

    private static let candidatesAtOnce = 64
    /// What deleting a large value counts for, in rows.
    private static let blobWeight = 32
    /// How many events that are only looked at count as one row.
    private static let eventsPerRow: Int64 = 20

    private static let time = SQL("SELECT \(StoreClock.now("$1"))")
    private static let leftovers = SQL(
        """
        SELECT number, last_seq FROM perdure.runs WHERE leftover ORDER BY number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """)
    private static let candidates = SQL(
        """
        SELECT number, closed_at FROM perdure.runs
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND (closed_at, number) > ($1::bigint, $2::bigint)
            AND closed_at < $3::bigint
        ORDER BY closed_at, number LIMIT $4::bigint
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
    /// Something that has begun and about which nothing was recorded since. One pass: runs with very many children close too.
    private static let hasOpening = SQL(
        """
        SELECT 1 FROM perdure.events
        WHERE run = $1::bigint AND seq >= $2::bigint AND (substr(kind, 1, 5) IN ('step.', 'undo.') OR (\(opens))
            OR kind IN ('child.completed', 'child.failed', 'child.cancelled'))
        GROUP BY subject, substr(kind, 1, 5) HAVING max(seq) = max(seq) FILTER (WHERE \(opens)) LIMIT 1
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
    private static let tombstones = SQL(
        """
        SELECT number FROM perdure.runs WHERE expired_at IS NOT NULL AND expired_at < $1::bigint AND NOT leftover
        ORDER BY expired_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
        """)
    private static let deleteEnds = SQL("DELETE FROM perdure.events WHERE run = ANY($1::bigint[])")
    private static let deleteRuns = SQL("DELETE FROM perdure.runs WHERE number = ANY($1::bigint[])")

    init(session: Session, request: ExpiryRequest, time: Timestamp?) throws {
        self.session = session
        self.request = request
        now = try session.first(Self.time, time) { try $0.time(0) } ?? .epoch
        room = max(1, request.limit)
        answer = Expiry(position: request.position)
    }

    mutating func run() throws -> Expiry {
        answer.isDone = try removeLeftovers() && expireRuns() && removeTombstones()
        return answer
    }

    /// Goes on where a call before stopped in the middle of a long history.
    private mutating func removeLeftovers() throws -> Bool {
        while let (run, last) = try session.first(Self.leftovers, row: { (try $0.integer(0), try $0.integer(1)) }) {
            guard try clear(run, through: last) else { return false }
        }
        return true
    }

    private mutating func expireRuns() throws -> Bool {
        guard let closedBefore = request.closedBefore else { return true }
        while true {
            let position = answer.position ?? ExpiryPosition(closedAt: .distantPast, run: 0)
            let found = try session.all(
                Self.candidates, position.closedAt, position.run, closedBefore, Self.candidatesAtOnce
            ) { Candidate(number: try $0.integer(0), closedAt: try $0.time(1)) }
            for candidate in found {
                guard room > 0 else { return false }
                room -= 1
                answer.position = ExpiryPosition(closedAt: candidate.closedAt, run: candidate.number)
                guard try session.exists(Self.lock, candidate.number), try session.exists(Self.isAtRest, candidate.number),
                    try !hasOpening(candidate.number), let last = try buryIfReadable(candidate)
                else { continue }
                answer.expired += 1
                guard try clear(candidate.number, through: last) else { return false }
            }
            if found.count < Self.candidatesAtOnce { return true }
        }
    }

    private mutating func hasOpening(_ run: Int64) throws -> Bool {
        let span = try session.first(Self.openings, run) { (try $0.optionalInteger(0), try $0.optionalInteger(1)) }
        guard let span, let first = span.0, let last = span.1 else { return false }
        room -= Int(clamping: (last - first) / Self.eventsPerRow)
        return try session.exists(Self.hasOpening, run, first)
    }

    /// A run that cannot be read stays as it is, and keeps no other from expiring.
    private mutating func buryIfReadable(_ candidate: Candidate) throws -> Int64? {
        let number = candidate.number, record: RunRecord, head: ChainHead
        do throws(any Error) {
            guard let readRecord = try session.run(number), let readHead = try session.head(of: number) else {
                throw BadRow("run number \(number) has no events")
            }
            (record, head) = (readRecord, readHead)
        } catch let bad as BadRow {
            answer.unreadable.append(BrokenRun(number: number, id: try session.readableID(of: number), reason: bad.description))
            return nil
        }
        return try bury(candidate, record, head)
    }

    /// Ends the chain and makes the row a tombstone. From here on nothing else of the history counts.
    private func bury(_ candidate: Candidate, _ record: RunRecord, _ last: ChainHead) throws -> Int64 {
        let number = candidate.number
        var head = last, events = EventColumns()
        let draft = EventDraft(
            .runExpired,
            attributes: [
                "state": .string(record.state.rawValue), "closed_at": .integer(candidate.closedAt.microseconds),
                "last_hash": .string(last.hash.description),
            ])
        events.add(head.append(draft, run: record.id.description, now: now), number)
        try session.pipeline { [events] pipe in
            try events.send(pipe)
            try pipe.execute(Self.bury, number, now, last.seq, Bytes(last.hash.bytes))
            try pipe.execute(Self.deleteMarks, number)
            try pipe.execute(Self.deleteLabels, number)
        }
        return last.seq
    }

    /// Removes what the room allows of an expired run. Returns whether that was all.
    private mutating func clear(_ run: Int64, through last: Int64) throws -> Bool {
        let session = session
        guard try remove(weight: 1, { try session.execute(Self.deleteEvents, run, last, $0) }),
            try remove(weight: Self.blobWeight, { try session.execute(Self.deleteBlobs, run, $0) }),
            try remove(weight: 1, { try session.execute(Self.deleteInbox, run, $0) })
        else { return false }
        try session.pipeline { pipe in
            for sql in [Self.forgetWaits, Self.forgetRequests, Self.forgetBeats, Self.dropWake, Self.settled] {
                try pipe.execute(sql, run)
            }
        }
        return true
    }

    private mutating func remove(weight: Int, _ delete: (Int) throws -> Int) throws -> Bool {
        // One row more than there is room for, so that even a room smaller than one row's weight gets on.
        let limit = max(0, room) / weight + 1
        let count = try delete(limit)
        room -= count * weight
        return count < limit
    }

    private mutating func removeTombstones() throws -> Bool {
        guard let expiredBefore = request.expiredBefore else { return true }
        let limit = max(0, room) / 2 + 1
        let found = try session.all(Self.tombstones, expiredBefore, limit) { try $0.integer(0) }
        try session.execute(Self.deleteEnds, found)
        answer.removed += try session.execute(Self.deleteRuns, found)
        return found.count < limit
    }
}
