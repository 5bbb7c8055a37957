package import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let names = SQL(
        """
        SELECT namespace, name, concurrency, per_key, rate_count, rate_period, rate_burst, changed_by, changed_at, number,
            (SELECT coalesce(sum(waiting), 0) FROM queue_keys WHERE queue = queues.number),
            (SELECT count(*) FROM queue_keys WHERE queue = queues.number AND waiting > 0)
        FROM queues WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, name
        """)
    private static let holders = SQL(
        """
        SELECT runs.state, count(*) FROM places INDEXED BY places_held CROSS JOIN runs ON runs.number = places.run
        WHERE places.queue = ?1 AND places.is_admitted <> 0 GROUP BY runs.state
        """)
    private static let limits = SQL(
        "SELECT concurrency, per_key, rate_count, rate_period, rate_burst FROM queues WHERE namespace = ?1 AND name = ?2")
    private static let put = SQL(
        """
        INSERT INTO queues (namespace, name, concurrency, per_key, rate_count, rate_period, rate_burst, changed_by, changed_at, due_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)
        ON CONFLICT (namespace, name) DO UPDATE SET concurrency = excluded.concurrency, per_key = excluded.per_key,
            rate_count = excluded.rate_count, rate_period = excluded.rate_period, rate_burst = excluded.rate_burst,
            changed_by = excluded.changed_by, changed_at = excluded.changed_at, due_at = 0
        """)
    private static let fillKeys = SQL(
        """
        UPDATE queue_keys SET is_full = coalesce(held >= ?3, 0)
        WHERE queue = (SELECT number FROM queues WHERE namespace = ?1 AND name = ?2)
        """)
    private static let position = SQL(
        """
        SELECT queues.namespace, queues.name, places.key, places.priority, places.is_admitted, places.in_line, places.queue
        FROM places JOIN queues ON queues.number = places.queue WHERE places.run = ?1
        """)
    private static let ahead = SQL(
        """
        SELECT count(*) FROM (SELECT 1 FROM places INDEXED BY places_line
            WHERE queue = ?1 AND key = ?2 AND in_line <> 0 AND (priority > ?3 OR priority = ?3 AND run < ?4) LIMIT ?5)
        """)

    package func admit() async throws(StoreError) -> Admission {
        try requireEngine("admit runs")
        let now = now()
        // Nothing is locked and no disk is waited for where there is nothing to admit.
        var admission = Admission(next: try await read(on: reader) { try $0.nextAdmission(now: now) })
        for _ in 0..<Self.transactions {
            guard let next = admission.next, next <= now else { break }
            let (admitted, due) = try await write { session in (try session.admit(now: now), try session.nextAdmission(now: now))
            }
            admission.admitted += admitted
            admission.next = due
        }
        return admission
    }

    /// How many transactions one call may take.
    private static let transactions = 8

    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        if let flaw = queue.flaw { throw .unusable(.nameInvalid, flaw) }
        let now = now()
        try await write { session in
            let current = try session.first(Self.limits, queue.namespace, queue.name) { try QueueLimits($0, from: 0) }
            if current == limits { return }
            // From here on a release that knows no queues would take what it finds for damage.
            try Opening.demand(schema: Schema.withQueues, session)
            let rate = limits.rate
            try session.execute(
                Self.put, queue.namespace, queue.name, limits.concurrency, limits.perKey, rate?.count,
                rate.map { Int64($0.period / .microseconds(1)) }, rate?.burst, sender.storedText, now)
            session.hasQueueNews = true
            if current?.perKey != limits.perKey { try session.execute(Self.fillKeys, queue.namespace, queue.name, limits.perKey) }
        }
    }

    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try await read(on: browser) { session in
            try session.read {
                let found = try session.all(Self.names, namespace) { row in
                    (
                        number: try row.integer(9),
                        standing: QueueStanding(
                            queue: QueueKey(namespace: try row.text(0), name: try row.text(1)),
                            limits: try QueueLimits(row, from: 2),
                            waiting: Int(try row.integer(10)), waitingKeys: Int(try row.integer(11)), holders: [:],
                            changedBy: Principal(stored: try row.text(7)) ?? Principal(.system, "unknown"),
                            changedAt: Timestamp(microseconds: try row.integer(8)))
                    )
                }
                return try found.map { number, standing in
                    var standing = standing
                    for (name, count) in try session.all(Self.holders, number, row: { (try $0.text(0), Int(try $0.integer(1))) })
                    {
                        guard let state = RunState(rawValue: name) else {
                            throw BadRow("the state '\(name)' of a run is unknown")
                        }
                        standing.holders[state] = count
                    }
                    return standing
                }
            }
        }
    }

    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try await read(on: browser) { session in
            try session.read {
                let found = try session.first(Self.position, run) { row in
                    (
                        number: try row.integer(6), isInLine: try row.integer(5) != 0,
                        position: QueuePosition(
                            queue: QueueKey(namespace: try row.text(0), name: try row.text(1)), key: try row.text(2),
                            priority: Int(try row.integer(3)), isAdmitted: try row.integer(4) != 0, ahead: nil)
                    )
                }
                guard let found else { return nil }
                var position = found.position
                if found.isInLine {
                    position.ahead = try session.first(
                        Self.ahead, found.number, position.key, position.priority, run, QueuePosition.most
                    ) { Int(try $0.integer(0)) }
                }
                return position
            }
        }
    }
}
