package import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension PostgresStore {
    /// Those that somebody has to look at, now or later. Nobody is made to wait for longer than a rate lets pass between two runs, and a
    /// moment: who is due later than that is due by a clock that was set back since. Of what was appended the first is enough.
    private static let due = SQL(
        """
        SELECT queues.number, min(cause.at), moment.now
        FROM (SELECT \(StoreClock.now("$1")) AS now) AS moment CROSS JOIN perdure.queues CROSS JOIN LATERAL (
            SELECT CASE WHEN due_at > moment.now + coalesce(rate_period / rate_count, 0) + 100000 THEN moment.now ELSE due_at END AS at
            WHERE due_at IS NOT NULL
            UNION ALL (
                SELECT moment.now FROM perdure.queue_changes WHERE queue_changes.queue = queues.number
                ORDER BY queue_changes.number LIMIT 1)) AS cause
        GROUP BY queues.number, moment.now
        """)

    /// How often one call looks again for what has come meanwhile.
    private static let looks = 16

    package func admit() async throws(StoreError) -> Admission {
        try requireEngine("admit runs")
        guard hasQueues.load(ordering: .relaxed) else { return Admission() }
        let time = options.clock?()
        var admission = Admission(), busy: Set<Int64> = [], failure: StoreError?
        for look in 1...Self.looks {
            let found = try await read(on: queueLink) { session in
                try session.all(Self.due, time) { (number: try $0.integer(0), at: try $0.time(1), now: try $0.time(2)) }
            }.filter { !busy.contains($0.number) }
            admission.next = found.map(\.at).min()
            let due = found.filter { $0.at <= $0.now }
            if due.isEmpty || look == Self.looks { break }
            // In any order, so that nodes meet each other seldom.
            for queue in due.shuffled() {
                do throws(StoreError) {
                    switch try await write(on: queueLink, { try $0.admit(queue.number, time: time) }) {
                    // He looks once more when he has committed, and finds what was there when this was asked.
                    case .busy: busy.insert(queue.number)
                    case .admitted(let count):
                        admission.admitted += count
                        if count > 0 { bell.ring(Channel.all) }
                    }
                } catch {
                    // One that cannot be admitted from keeps no other from it.
                    busy.insert(queue.number)
                    failure = error
                }
            }
        }
        if let failure {
            if admission == Admission() { throw failure }
            admission.trouble = "\(failure)"
        }
        return admission
    }

    // MARK: Limits

    private static let limits = SQL(
        """
        SELECT concurrency, per_key, rate_count, rate_period, rate_burst FROM perdure.queues
        WHERE namespace = $1::text AND name = $2::text FOR NO KEY UPDATE
        """)
    private static let insert = SQL(
        """
        INSERT INTO perdure.queues
            (namespace, name, concurrency, per_key, rate_count, rate_period, rate_burst, changed_by, changed_at)
        VALUES ($1::text, $2::text, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::text, \(StoreClock.now("$9")))
        ON CONFLICT (namespace, name) DO NOTHING
        """)
    private static let update = SQL(
        """
        UPDATE perdure.queues SET concurrency = $3::bigint, per_key = $4::bigint, rate_count = $5::bigint, rate_period = $6::bigint,
            rate_burst = $7::bigint, changed_by = $8::text, changed_at = \(StoreClock.now("$9")), due_at = 0
        WHERE namespace = $1::text AND name = $2::text
        """)
    private static let fillKeys = SQL(
        """
        UPDATE perdure.queue_keys SET is_full = coalesce(held >= $3::bigint, false)
        WHERE queue = (SELECT number FROM perdure.queues WHERE namespace = $1::text AND name = $2::text)
        """)
    private static let lockNodes = SQL("LOCK TABLE perdure.nodes IN ACCESS EXCLUSIVE MODE")
    private static let oldNodes = SQL(
        "SELECT id, host, process_id FROM perdure.nodes WHERE ended_at IS NULL AND level < $1::bigint ORDER BY id")

    package func setQueue(_ queue: QueueKey, _ limits: QueueLimits, by sender: Principal) async throws(StoreError) {
        if let flaw = queue.flaw { throw .unusable(.nameInvalid, flaw) }
        let time = options.clock?(), rate = limits.rate, period = rate.map { Int64($0.period / .microseconds(1)) }
        let isChanged = try await write(on: queueLink) { session in
            let current = try session.first(Self.limits, queue.namespace, queue.name) { try QueueLimits($0, from: 0) }
            if current == limits { return false }
            if current == nil { try Self.closeToEarlierReleases(session) }
            let changed = try session.execute(
                current == nil ? Self.insert : Self.update, queue.namespace, queue.name, limits.concurrency, limits.perKey,
                rate?.count, period, rate?.burst, sender.storedText, time)
            // Somebody else has made it meanwhile.
            if changed == 0 { throw Overtaken() }
            if current?.perKey != limits.perKey { try session.execute(Self.fillKeys, queue.namespace, queue.name, limits.perKey) }
            return true
        }
        hasQueues.store(true, ordering: .relaxed)
        // Its row was held meanwhile, and who passed over it counts on whoever held it.
        tellOfPlaces()
        if isChanged { bell.ring(Channel.all) }
    }

    /// To a node of a release that knows no queues a queued run is damaged. None may live when the first one can begin, none may register
    /// afterwards, and none may open the store again.
    private static func closeToEarlierReleases(_ session: Session) throws {
        if try Migration.isClosed(toSchemasBefore: Schema.withQueues, session) { return }
        try session.execute(lockNodes)
        let old = try session.all(oldNodes, Schema.withQueues) {
            "\(try $0.text(0)) (process \(try $0.integer(2)) on \(try $0.text(1)))"
        }
        guard old.isEmpty else {
            throw StoreError.unusable(
                .queueNeedsUpgrade,
                "These nodes are of a release that knows no queues: \(old.joined(separator: ", ")). Bring them to this one first."
            )
        }
        try Migration.demand(schema: Schema.withQueues, session)
        // Who does not say of which level he is, is of an earlier one.
        try session.run("ALTER TABLE perdure.nodes ALTER COLUMN level DROP DEFAULT")
    }
}

// MARK: For people

extension PostgresStore {
    private static let standings = SQL(
        """
        SELECT namespace, name, concurrency, per_key, rate_count, rate_period, rate_burst, changed_by, changed_at, number,
            line.waiting, line.keys
        FROM perdure.queues CROSS JOIN LATERAL (
            SELECT coalesce(sum(waiting), 0)::bigint AS waiting, count(*) FILTER (WHERE waiting > 0) AS keys FROM (
                SELECT sum(waiting) AS waiting FROM (
                    SELECT key, waiting FROM perdure.queue_keys WHERE queue = queues.number
                    UNION ALL SELECT key, waiting FROM perdure.queue_changes WHERE queue = queues.number) AS counted
                GROUP BY key) AS keys) AS line
        WHERE $1::text IS NULL OR namespace = $1::text ORDER BY namespace, name
        """)
    private static let holders = SQL(
        """
        SELECT places.queue, runs.state, count(*) FROM perdure.places JOIN perdure.runs ON runs.number = places.run
        WHERE places.queue = ANY($1::bigint[]) AND places.is_admitted GROUP BY places.queue, runs.state
        """)
    private static let position = SQL(
        """
        SELECT queues.namespace, queues.name, places.key, places.priority, places.is_admitted, CASE WHEN places.in_line THEN (
            SELECT count(*) FROM (SELECT 1 FROM perdure.places AS other
                WHERE other.queue = places.queue AND other.key = places.key AND other.in_line
                    AND (other.priority > places.priority OR other.priority = places.priority AND other.run < places.run)
                LIMIT $2::bigint) AS before) END
        FROM perdure.places JOIN perdure.queues ON queues.number = places.queue WHERE places.run = $1::bigint
        """)

    package func queues(namespace: String?) async throws(StoreError) -> [QueueStanding] {
        try await read(on: browser) { session in
            try session.snapshot {
                var numbers: [Int64] = [], standings: [QueueStanding] = []
                _ = try session.all(Self.standings, namespace) { row in
                    numbers.append(try row.integer(9))
                    standings.append(
                        QueueStanding(
                            queue: QueueKey(namespace: try row.text(0), name: try row.text(1)),
                            limits: try QueueLimits(row, from: 2),
                            waiting: Int(try row.integer(10)), waitingKeys: Int(try row.integer(11)), holders: [:],
                            changedBy: Principal(stored: try row.text(7)) ?? Principal(.system, "unknown"),
                            changedAt: try row.time(8)))
                }
                _ = try session.all(Self.holders, numbers) { row in
                    let number = try row.integer(0)
                    guard let place = numbers.firstIndex(of: number) else { return }
                    standings[place].holders[try row.state(1)] = Int(try row.integer(2))
                }
                return standings
            }
        }
    }

    package func queuePosition(of run: Int64) async throws(StoreError) -> QueuePosition? {
        try await read(on: browser) { session in
            try session.first(Self.position, run, QueuePosition.most) { row in
                QueuePosition(
                    queue: QueueKey(namespace: try row.text(0), name: try row.text(1)), key: try row.text(2),
                    priority: Int(try row.integer(3)), isAdmitted: try row.bool(4),
                    ahead: try row.optionalInteger(5).map { Int($0) })
            }
        }
    }
}
