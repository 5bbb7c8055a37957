internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// A queue whose row this transaction holds: nobody else admits from it, and nobody else writes its keys.
private struct HeldQueue {
    let number: Int64
    let limits: QueueLimits
    var held: Int
    var turn: Int64
    var slot: Timestamp
    let now: Timestamp

    init(_ row: Row) throws(BadRow) {
        number = try row.integer(0)
        limits = try QueueLimits(row, from: 1)
        held = Int(try row.integer(6))
        turn = try row.integer(7)
        slot = try row.time(8)
        now = try row.time(9)
    }
}

private struct WaitingKey {
    let key: String
    let waiting: Int
    let held: Int
}

/// What became of a queue that somebody looked at.
enum QueueTurn: Sendable {
    /// Somebody else admits from it. Whatever was durable before this was asked, he looks at after his commit.
    case busy
    case admitted(Int)
}

extension Session {
    private static let hold = SQL(
        """
        SELECT number, concurrency, per_key, rate_count, rate_period, rate_burst, held, turn, next_slot, \(StoreClock.now("$2"))
        FROM perdure.queues WHERE number = $1::bigint FOR NO KEY UPDATE SKIP LOCKED
        """)
    /// Takes in what commits have appended. Keys that begin to wait do so behind all that wait already, in the order in which they came:
    /// one that is made up for each run would overtake them otherwise.
    static let takeChanges = SQL(
        """
        WITH batch AS (SELECT number FROM perdure.queue_changes WHERE queue = $1::bigint ORDER BY number LIMIT 5000),
        taken AS (
            DELETE FROM perdure.queue_changes USING batch WHERE queue_changes.number = batch.number
            RETURNING queue_changes.number, queue_changes.key, queue_changes.waiting, queue_changes.held),
        summed AS (
            SELECT key, sum(waiting)::bigint AS waiting, sum(held)::bigint AS held,
                $2::bigint + row_number() OVER (ORDER BY min(number)) AS turn
            FROM taken GROUP BY key),
        put AS (
            INSERT INTO perdure.queue_keys (queue, key, waiting, held, turn, is_full)
            SELECT $1::bigint, key, waiting, held, turn, coalesce(held >= $3::bigint, false) FROM summed
            ON CONFLICT (queue, key) DO UPDATE SET waiting = queue_keys.waiting + excluded.waiting,
                held = queue_keys.held + excluded.held,
                turn = CASE WHEN queue_keys.waiting = 0 THEN excluded.turn ELSE queue_keys.turn END,
                is_full = coalesce(queue_keys.held + excluded.held >= $3::bigint, false))
        SELECT key, held FROM summed
        """)
    private static let dropIdleKeys = SQL(
        """
        DELETE FROM perdure.queue_keys WHERE queue = $1::bigint AND key = ANY($2::text[]) AND waiting = 0 AND held = 0
        """)
    static let waitingKeys = SQL(
        """
        SELECT key, waiting, held FROM perdure.queue_keys WHERE queue = $1::bigint AND waiting > 0 AND NOT is_full
        ORDER BY turn, key LIMIT $2::bigint
        """)
    /// Passes over those that are lent out, and those that are about to be: what wakes them may end them.
    static let heads = SQL(
        """
        SELECT wanted.place - 1, head.run
        FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS wanted (key, quota, place) CROSS JOIN LATERAL (
            SELECT places.run FROM perdure.places JOIN perdure.runs ON runs.number = places.run
            WHERE places.queue = $1::bigint AND places.key = wanted.key AND places.in_line AND runs.state = 'queued'
                AND NOT EXISTS (SELECT 1 FROM perdure.wakes WHERE wakes.run = places.run)
            ORDER BY places.priority DESC, places.run LIMIT wanted.quota) AS head
        """)
    /// Nothing is waited for: whoever commits holds runs before anything else.
    private static let lockHeads = SQL(
        "SELECT number FROM perdure.runs WHERE number = ANY($1::bigint[]) FOR NO KEY UPDATE SKIP LOCKED")
    /// Asks once more, now that nobody else can change them: a message may have come between the look and the lock.
    private static let admitRuns = SQL(
        """
        UPDATE perdure.runs SET state = 'ready', is_admitted = true, wake_at = NULL, since = $2::bigint
        WHERE number = ANY($1::bigint[]) AND state = 'queued' AND NOT is_admitted
            AND NOT EXISTS (SELECT 1 FROM perdure.wakes WHERE wakes.run = runs.number)
        RETURNING number
        """)
    private static let admitPlaces = SQL(
        "UPDATE perdure.places SET in_line = false, is_admitted = true WHERE run = ANY($1::bigint[])")
    private static let serve = SQL(
        """
        UPDATE perdure.queue_keys SET waiting = waiting - new.served, held = held + new.served, turn = $5::bigint + new.place,
            is_full = coalesce(held + new.served >= $4::bigint, false)
        FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS new (key, served, place)
        WHERE queue_keys.queue = $1::bigint AND queue_keys.key = new.key
        """)
    private static let settle = SQL(
        """
        UPDATE perdure.queues SET held = $2::bigint, turn = $3::bigint, next_slot = $4::bigint, due_at = $5::bigint
        WHERE number = $1::bigint
        """)

    /// Admits from one queue, in the transaction that is open.
    func admit(_ number: Int64, time: Timestamp?) throws -> QueueTurn {
        guard var queue = try first(Self.hold, number, time, row: { try HeldQueue($0) }) else { return .busy }
        let changed = try all(Self.takeChanges, number, queue.turn, queue.limits.perKey) {
            (try $0.text(0), Int(try $0.integer(1)))
        }
        if !changed.isEmpty {
            try execute(Self.dropIdleKeys, number, changed.map(\.0))
            queue.held += changed.reduce(0) { $0 + $1.1 }
            queue.turn += Int64(changed.count)
        }
        let (admitted, dueAt) = try fill(&queue)
        try execute(Self.settle, number, queue.held, queue.turn, queue.slot, dueAt)
        return .admitted(admitted)
    }

    /// - Returns: how many were admitted, and when the queue has to be looked at again if nothing is appended until then.
    private func fill(_ queue: inout HeldQueue) throws -> (Int, Timestamp?) {
        let now = queue.now, rate = queue.limits.rate
        var admitted = 0, isHeldUp = false
        // Keys that have given all that could be taken from them.
        var dry: Set<String> = []
        if let rate { queue.slot = rate.slot(after: 0, from: queue.slot, now: now) }
        while queue.held < queue.limits.concurrency {
            let allowance = rate?.allowance(queue.slot, now: now) ?? .max
            let room = min(queue.limits.concurrency - queue.held, allowance, QueueTurns.atOnce - admitted)
            let keys = try all(Self.waitingKeys, queue.number, max(room, 1) + dry.count) {
                WaitingKey(key: try $0.text(0), waiting: Int(try $0.integer(1)), held: Int(try $0.integer(2)))
            }.filter { !dry.contains($0.key) }
            if keys.isEmpty { break }
            if let rate, allowance <= 0 { return (admitted, rate.opens(queue.slot, now: now)) }
            // The rest in a transaction of its own.
            if room <= 0 || dry.count > QueueTurns.atOnce { return (admitted, now) }
            let served = try serve(Array(keys.prefix(room)), room, &queue, &dry, &isHeldUp)
            admitted += served
            if let rate { queue.slot = rate.slot(after: served, from: queue.slot, now: now) }
        }
        // Whoever has changed a run that could have been admitted may append nothing.
        return (admitted, isHeldUp ? now + Self.patience : nil)
    }

    private static let patience = Duration.milliseconds(50)

    /// Takes as many from each key as all can give, and sends each key to the end of the turns.
    private func serve(
        _ keys: [WaitingKey], _ room: Int, _ queue: inout HeldQueue, _ dry: inout Set<String>, _ isHeldUp: inout Bool
    ) throws -> Int {
        let quota = QueueTurns.quota(room, keys: keys.count), perKey = queue.limits.perKey
        let wanted = keys.map { key in min(quota, key.waiting, perKey.map { $0 - key.held } ?? .max) }
        var keyOf: [Int64: Int] = [:]
        for (place, run) in try all(
            Self.heads, queue.number, keys.map(\.key), wanted, row: { (try $0.integer(0), try $0.integer(1)) })
        {
            keyOf[run] = Int(place)
        }
        var served = keys.map { _ in Int64(0) }, admitted: [Int64] = []
        if !keyOf.isEmpty {
            let locked = try all(Self.lockHeads, keyOf.keys.sorted()) { try $0.integer(0) }
            admitted = try all(Self.admitRuns, locked, queue.now) { try $0.integer(0) }
            // Others may stand behind those that are held, or that something has come for since they were looked at.
            if admitted.count < keyOf.count { isHeldUp = true }
            for run in admitted { if let key = keyOf[run] { served[key] += 1 } }
        }
        for (key, count) in zip(keys, served) where count < quota { dry.insert(key.key) }
        let turn = queue.turn
        try pipeline { [admitted, served] pipe in
            if !admitted.isEmpty { try pipe.execute(Self.admitPlaces, admitted) }
            try pipe.execute(Self.serve, queue.number, keys.map(\.key), served, perKey, turn)
        }
        queue.turn += Int64(keys.count)
        queue.held += admitted.count
        return admitted.count
    }
}

extension QueueLimits {
    /// Reads the limits from `concurrency`, `per_key`, `rate_count`, `rate_period` and `rate_burst`.
    init(_ row: Row, from column: Int32) throws(BadRow) {
        self.init(
            concurrency: Int(try row.integer(column)), perKey: try row.optionalInteger(column + 1).map { Int($0) },
            rate: try row.optionalInteger(column + 2).map { count throws(BadRow) in
                Rate(
                    Int(count), per: .microseconds(try row.integer(column + 3)), burst: Int(try row.integer(column + 4)))
            })
    }
}
