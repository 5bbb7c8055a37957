internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A queue as admission has to know it.
private struct QueueRow {
    let number: Int64
    let limits: QueueLimits
    var held: Int
    var turn: Int64
    var slot: Timestamp

    static let columns = "number, concurrency, per_key, rate_count, rate_period, rate_burst, held, turn, next_slot"

    init(_ row: Statement) throws(BadRow) {
        number = try row.integer(0)
        limits = try QueueLimits(row, from: 1)
        held = Int(try row.integer(6))
        turn = try row.integer(7)
        slot = Timestamp(microseconds: try row.integer(8))
    }
}

private struct WaitingKey {
    let key: String
    let waiting: Int
    let held: Int
}

extension Session {
    private static let due = SQL(
        """
        SELECT \(QueueRow.columns) FROM queues INDEXED BY queues_due
        WHERE due_at IS NOT NULL AND (due_at <= ?1 OR due_at > ?1 + \(longestWait)) ORDER BY due_at
        """)
    /// Nobody is made to wait for longer than a rate lets pass between two runs, and a moment: who is due later than that is due by a clock
    /// that was set back since.
    private static let longestWait = "coalesce(rate_period / rate_count, 0) + 100000"
    private static let nextDue = SQL(
        """
        SELECT min(CASE WHEN due_at > ?1 + \(longestWait) THEN 0 ELSE due_at END) FROM queues INDEXED BY queues_due
        WHERE due_at IS NOT NULL
        """)
    private static let keys = SQL(
        """
        SELECT key, waiting, held FROM queue_keys INDEXED BY queue_keys_turns
        WHERE queue = ?1 AND waiting > 0 AND is_full = 0 ORDER BY turn, key LIMIT ?2
        """)
    /// Passes over those that are lent out, and those that are about to be: what wakes them may end them.
    private static let line = SQL(
        """
        SELECT places.run FROM places INDEXED BY places_line CROSS JOIN runs ON runs.number = places.run
        WHERE places.queue = ?1 AND places.key = ?2 AND places.in_line <> 0 AND runs.state = 'queued'
            AND NOT EXISTS (SELECT 1 FROM wakes WHERE wakes.run = places.run)
        ORDER BY places.priority DESC, places.run LIMIT ?3
        """)
    private static let admitRun = SQL(
        "UPDATE runs SET state = 'ready', is_admitted = 1, wake_at = NULL, since = ?2 WHERE number = ?1")
    private static let admitPlace = SQL("UPDATE places SET in_line = 0, is_admitted = 1 WHERE run = ?1")
    private static let serve = SQL(
        """
        UPDATE queue_keys SET waiting = waiting - ?3, held = held + ?3, turn = ?4, is_full = coalesce(held + ?3 >= ?5, 0)
        WHERE queue = ?1 AND key = ?2
        """)
    private static let settle = SQL("UPDATE queues SET held = ?2, turn = ?3, next_slot = ?4, due_at = ?5 WHERE number = ?1")

    /// When a queue has to be looked at; it may be past.
    func nextAdmission(now: Timestamp) throws -> Timestamp? {
        try first(Self.nextDue, now) { try $0.optionalInteger(0) }?.map(Timestamp.init(microseconds:))
    }

    /// Gives places in every queue that is due.
    func admit(now: Timestamp) throws -> Int {
        var admitted = 0
        for queue in try all(Self.due, now, row: { try QueueRow($0) }) { admitted += try admit(queue, now: now) }
        return admitted
    }

    private func admit(_ given: QueueRow, now: Timestamp) throws -> Int {
        var queue = given, admitted = 0, dueAt: Timestamp?
        // Keys that have given all that could be taken from them.
        var dry: Set<String> = []
        if let rate = queue.limits.rate { queue.slot = rate.slot(after: 0, from: queue.slot, now: now) }
        while true {
            let places = queue.limits.concurrency - queue.held
            if places <= 0 { break }
            let allowance = queue.limits.rate?.allowance(queue.slot, now: now) ?? .max
            let room = min(places, allowance, QueueTurns.atOnce - admitted)
            let keys = try all(Self.keys, queue.number, max(room, 1) + dry.count) {
                WaitingKey(key: try $0.text(0), waiting: Int(try $0.integer(1)), held: Int(try $0.integer(2)))
            }.filter { !dry.contains($0.key) }
            if keys.isEmpty { break }
            if let rate = queue.limits.rate, allowance <= 0 {
                dueAt = rate.opens(queue.slot, now: now)
                break
            }
            // The rest in a transaction of its own, so that commits get between.
            if room <= 0 || dry.count > QueueTurns.atOnce {
                dueAt = .epoch
                break
            }
            let served = try serve(keys.prefix(room), room, &queue, &dry, now: now)
            admitted += served
            queue.held += served
            if let rate = queue.limits.rate { queue.slot = rate.slot(after: served, from: queue.slot, now: now) }
        }
        try execute(Self.settle, queue.number, queue.held, queue.turn, queue.slot, dueAt)
        return admitted
    }

    /// Takes as many from each key as all can give, and sends each key to the end of the turns.
    private func serve(
        _ keys: ArraySlice<WaitingKey>, _ room: Int, _ queue: inout QueueRow, _ dry: inout Set<String>, now: Timestamp
    ) throws -> Int {
        let quota = QueueTurns.quota(room, keys: keys.count)
        var served = 0
        for key in keys {
            let wanted = min(quota, key.waiting, queue.limits.perKey.map { $0 - key.held } ?? .max)
            let runs = try all(Self.line, queue.number, key.key, wanted) { try $0.integer(0) }
            if runs.count < quota { dry.insert(key.key) }
            for run in runs {
                try execute(Self.admitRun, run, now)
                try execute(Self.admitPlace, run)
            }
            queue.turn += 1
            try execute(Self.serve, queue.number, key.key, runs.count, queue.turn, queue.limits.perKey)
            served += runs.count
        }
        return served
    }
}

extension QueueLimits {
    /// Reads the limits from `concurrency`, `per_key`, `rate_count`, `rate_period` and `rate_burst`.
    init(_ row: Statement, from column: Int32) throws(BadRow) {
        self.init(
            concurrency: Int(try row.integer(column)), perKey: try row.optionalInteger(column + 1).map { Int($0) },
            rate: try row.optionalInteger(column + 2).map { count throws(BadRow) in
                Rate(
                    Int(count), per: .microseconds(try row.integer(column + 3)), burst: Int(try row.integer(column + 4)))
            })
    }
}
