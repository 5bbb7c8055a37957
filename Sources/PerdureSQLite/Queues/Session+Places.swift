internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What of a run's row says where it stands with its queue. Of a run without one nothing more is ever asked.
struct QueueFacts {
    /// nil of a run without a queue.
    let queue: Int64?
    let isAdmitted: Bool
}

// The places of runs, with the counters that hang on them: one connection writes, so that they are changed together.
extension Session {
    private static let find = SQL("SELECT number FROM queues WHERE namespace = ?1 AND name = ?2")
    private static let insert = SQL(
        """
        INSERT INTO places (run, queue, key, priority, deadline, in_line, is_admitted) VALUES (?1, ?2, ?3, ?4, ?5, 1, 0)
        """)
    private static let drop = SQL("DELETE FROM places WHERE run = ?1")
    private static let place = SQL("SELECT queue, key, deadline, in_line, is_admitted FROM places WHERE run = ?1")
    private static let standInLine = SQL("UPDATE places SET in_line = ?2 WHERE run = ?1")
    private static let inherit = SQL("UPDATE places SET run = ?2 WHERE run = ?1")
    /// Where there is no room there is nothing to look for; and what waits for its rate has its time already.
    private static let ring = SQL(
        """
        UPDATE queues SET held = held + ?2, due_at = CASE WHEN held + ?2 < concurrency THEN coalesce(due_at, 0) ELSE due_at END
        WHERE number = ?1
        """)
    /// A key begins to wait behind all that wait already: one that is made up for each run would overtake them otherwise.
    private static let nextTurn = SQL(
        """
        UPDATE queues SET turn = turn + 1 WHERE number = ?1
            AND NOT EXISTS (SELECT 1 FROM queue_keys WHERE queue = ?1 AND key = ?2 AND waiting > 0)
        """)
    private static let count = SQL(
        """
        INSERT INTO queue_keys (queue, key, waiting, held, turn, is_full)
        SELECT number, ?2, ?3, ?4, turn, coalesce(?4 >= per_key, 0) FROM queues WHERE number = ?1
        ON CONFLICT (queue, key) DO UPDATE SET waiting = waiting + excluded.waiting, held = held + excluded.held,
            turn = CASE WHEN waiting = 0 AND excluded.waiting > 0 THEN excluded.turn ELSE turn END,
            is_full = coalesce(held + excluded.held >= (SELECT per_key FROM queues WHERE number = excluded.queue), 0)
        """)
    private static let dropIdleKey = SQL("DELETE FROM queue_keys WHERE queue = ?1 AND key = ?2 AND waiting = 0 AND held = 0")

    private struct Place {
        let queue: Int64
        let key: String
        let deadline: Timestamp?
        let isInLine: Bool
        let isAdmitted: Bool

        init(_ row: Statement) throws(BadRow) {
            queue = try row.integer(0)
            key = try row.text(1)
            deadline = try row.optionalInteger(2).map(Timestamp.init(microseconds:))
            isInLine = try row.integer(3) != 0
            isAdmitted = try row.integer(4) != 0
        }
    }

    func queue(_ name: String, in namespace: String) throws -> Int64? {
        try first(Self.find, namespace, name) { try $0.integer(0) }
    }

    /// A run that begins takes its place at the end of its line.
    func enter(_ run: Int64, _ queue: Int64, _ place: QueuePlace, deadline: Timestamp?) throws {
        try execute(Self.insert, run, queue, place.key, place.priority, deadline)
        try count(queue, place.key, waiting: 1)
    }

    /// A run that has ended, or will never be executed again, has no place any more.
    func leave(_ run: Int64) throws {
        guard let place = try first(Self.place, run, row: { try Place($0) }) else { return }
        try execute(Self.drop, run)
        try count(place.queue, place.key, waiting: place.isInLine ? -1 : 0, held: place.isAdmitted ? -1 : 0)
    }

    /// The place of a run is the one of the run that it is continued as.
    func handOver(placeOf run: Int64, to successor: Int64) throws { try execute(Self.inherit, run, successor) }

    /// Puts a run that is not admitted into its line or out of it; its place in it stays the same. To come back is a cause to look at the
    /// queue: it was passed over while it was away.
    ///
    /// - Returns: the run's deadline.
    func stand(_ run: Int64, inLine isInLine: Bool) throws -> Timestamp? {
        guard let place = try first(Self.place, run, row: { try Place($0) }) else {
            throw BadRow("run number \(run) has lost its place in its queue")
        }
        if place.isInLine != isInLine { try execute(Self.standInLine, run, isInLine) }
        try count(place.queue, place.key, waiting: (isInLine ? 1 : 0) - (place.isInLine ? 1 : 0))
        return place.deadline
    }

    private func count(_ queue: Int64, _ key: String, waiting: Int = 0, held: Int = 0) throws {
        if waiting > 0 { try execute(Self.nextTurn, queue, key) }
        try execute(Self.count, queue, key, waiting, held)
        if waiting <= 0 { try execute(Self.dropIdleKey, queue, key) }
        try execute(Self.ring, queue, held)
        hasQueueNews = true
    }
}
