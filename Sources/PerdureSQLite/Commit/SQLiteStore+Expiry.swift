internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try requireEngine("remove what has expired")
        let now = now()
        return try await write { session in
            var remover = Remover(session: session, request: request, now: now)
            return try remover.run()
        }
    }
}

/// One bounded round of removing, in one transaction.
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

    private static let leftovers = SQL("SELECT number, last_seq FROM runs WHERE leftover <> 0 ORDER BY number LIMIT 1")
    private static let candidates = SQL(
        """
        SELECT number, closed_at FROM runs INDEXED BY runs_closed
        WHERE closed_at IS NOT NULL AND expired_at IS NULL AND (closed_at, number) > (?1, ?2) AND closed_at < ?3
        ORDER BY closed_at, number LIMIT ?4
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
    /// Something that has begun and about which nothing was recorded since. One pass: runs with very many children close too.
    private static let hasOpening = SQL(
        """
        SELECT 1 FROM events INDEXED BY events_places
        WHERE run = ?1 AND seq >= ?2 AND (substr(kind, 1, 5) IN ('step.', 'undo.') OR \(opens)
            OR kind IN ('child.completed', 'child.failed', 'child.cancelled'))
        GROUP BY subject, substr(kind, 1, 5) HAVING max(seq) = max(CASE WHEN \(opens) THEN seq END) LIMIT 1
        """)
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
        SELECT number FROM runs INDEXED BY runs_expired
        WHERE expired_at IS NOT NULL AND expired_at < ?1 AND leftover = 0 ORDER BY expired_at LIMIT ?2
        """)
    private static let deleteEnd = SQL("DELETE FROM events WHERE run = ?1")
    private static let deleteRun = SQL("DELETE FROM runs WHERE number = ?1")

    init(session: Session, request: ExpiryRequest, now: Timestamp) {
        self.session = session
        self.request = request
        self.now = now
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
            ) { Candidate(number: try $0.integer(0), closedAt: Timestamp(microseconds: try $0.integer(1))) }
            for candidate in found {
                guard room > 0 else { return false }
                room -= 1
                answer.position = ExpiryPosition(closedAt: candidate.closedAt, run: candidate.number)
                guard try session.exists(Self.isAtRest, candidate.number), try !hasOpening(candidate.number),
                    let last = try buryIfReadable(candidate)
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
        var head = last
        let draft = EventDraft(
            .runExpired,
            attributes: [
                "state": .string(record.state.rawValue), "closed_at": .integer(candidate.closedAt.microseconds),
                "last_hash": .string(last.hash.description),
            ])
        try session.append([head.append(draft, run: record.id.description, now: now)], to: number)
        try session.execute(Self.bury, number, now, last.seq, last.hash.bytes)
        try session.execute(Self.deleteMarks, number)
        try session.execute(Self.deleteLabels, number)
        return last.seq
    }

    /// Removes what the room allows of an expired run. Returns whether that was all.
    private mutating func clear(_ run: Int64, through last: Int64) throws -> Bool {
        let session = session
        guard try remove(weight: 1, { try session.execute(Self.deleteEvents, run, last, $0) }),
            try remove(weight: Self.blobWeight, { try session.execute(Self.deleteBlobs, run, $0) }),
            try remove(weight: 1, { try session.execute(Self.deleteInbox, run, $0) })
        else { return false }
        try session.forget(run)
        try session.dropWake(of: run)
        try session.execute(Self.settled, run)
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
        for number in found {
            try session.execute(Self.deleteEnd, number)
            try session.execute(Self.deleteRun, number)
            answer.removed += 1
        }
        return found.count < limit
    }
}
