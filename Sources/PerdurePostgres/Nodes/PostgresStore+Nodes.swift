internal import Logging
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension PostgresStore {
    /// Where the row was written, and what stood beside it.
    private static let confirmed =
        "\(Recollection.serverStart), coalesce((SELECT max(number) FROM perdure.restorations), 0)"
    private static let insert = SQL(
        """
        INSERT INTO perdure.nodes (id, build, host, process_id, hosted, started_at, lease_until, level, server, verifies)
        SELECT $1::text, $2::text, $3::text, $4::bigint, $5::text, moment.now, moment.now + $6::bigint, \(Schema.version),
            \(Recollection.serverStart), $8::text
        FROM (SELECT \(StoreClock.now("$7")) AS now) AS moment
        ON CONFLICT (id) DO UPDATE SET hosted = excluded.hosted, lease_until = excluded.lease_until, server = excluded.server,
            verifies = excluded.verifies, renewals = nodes.renewals + 1
            WHERE nodes.ended_at IS NULL
        RETURNING nodes.renewals, \(confirmed)
        """)
    private static let end = SQL(
        "UPDATE perdure.nodes SET ended_at = \(StoreClock.now("$2")) WHERE id = $1::text AND ended_at IS NULL")
    /// Whoever commits as a node holds its row: one that is still about to own a run is left alone.
    private static let lockEnded = SQL("SELECT id FROM perdure.nodes WHERE ended_at IS NOT NULL FOR UPDATE SKIP LOCKED")
    /// Runs that an ended node still owns stay takeable: it is remembered as ended.
    private static let forgetIdle = SQL(
        """
        DELETE FROM perdure.nodes WHERE id = ANY($1::text[])
            AND NOT EXISTS (SELECT 1 FROM perdure.runs WHERE runs.owner = nodes.id)
        """)
    /// A run without a known owner could never be taken over.
    private static let rememberOwners = SQL(
        """
        INSERT INTO perdure.nodes (id, build, host, process_id, hosted, started_at, ended_at, lease_until, level)
        SELECT DISTINCT owner, '', '', 0, '[]', moment.now, moment.now, moment.now, 0
        FROM perdure.runs CROSS JOIN (SELECT \(StoreClock.now("$1")) AS now) AS moment
        WHERE owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM perdure.nodes WHERE id = runs.owner)
        ON CONFLICT DO NOTHING
        """)
    private static let renewal = SQL(
        """
        UPDATE perdure.nodes SET lease_until = \(StoreClock.now("$3")) + $2::bigint, renewals = renewals + 1
        WHERE id = $1::text AND ended_at IS NULL
        RETURNING renewals, \(confirmed), EXISTS (SELECT 1 FROM perdure.queues)
        """)
    private static let anyQueue = SQL("SELECT 1 FROM perdure.queues LIMIT 1")
    private static let others = SQL(
        """
        SELECT id, renewals, lease_until, \(StoreClock.now("$2")) FROM perdure.nodes
        WHERE ended_at IS NULL AND id <> $1::text
        """)
    /// One that has renewed in between has another number, and lives. One that is just renewing is not waited for.
    private static let endLapsed = SQL(
        """
        UPDATE perdure.nodes SET ended_at = \(StoreClock.now("$3")) WHERE id = (
            SELECT id FROM perdure.nodes WHERE id = $1::text AND renewals = $2::bigint AND ended_at IS NULL
            FOR NO KEY UPDATE SKIP LOCKED)
        """)
    private static let standing = SQL(
        """
        SELECT id, build, host, process_id, hosted, started_at, lease_until, \(StoreClock.now("$1")),
            (SELECT count(*) FROM perdure.runs WHERE runs.owner = nodes.id),
            coalesce(server <> \(Recollection.serverStart), false), verifies
        FROM perdure.nodes WHERE ended_at IS NULL ORDER BY started_at, id
        """)

    package var leaseLength: Duration? { options.leaseLength }
    package var lookPause: Duration? { options.leaseLength / 30 }

    private var leaseMicroseconds: Int64 { Int64(options.leaseLength / .microseconds(1)) }

    package func register(_ node: NodeRegistration) async throws(StoreError) {
        try requireEngine("host runs")
        let former = self.node, length = leaseMicroseconds, time = options.clock?()
        let recollection = recollection, options = options
        let hasQueues = try await leases.perform { session in
            let asked = options.here
            // The row of the one before it goes with this.
            if let former, former != node.id { recollection.forgetLease() }
            let (lease, hasQueues) = try session.untilNotOvertaken {
                try session.transaction { try Self.register(node, former, length, time, asked, session) }
            }
            recollection.note(lease)
            return hasQueues
        }
        membership.withLock { $0 = Membership(node: node.id) }
        if hasQueues { self.hasQueues.store(true, ordering: .relaxed) }
        bell.listen(to: Channel.node(node.id))
        // From here on it looks at the others.
        try await endLapsed(besides: node.id)
    }

    private static func register(
        _ node: NodeRegistration, _ former: NodeID?, _ length: Int64, _ time: Timestamp?, _ asked: Timestamp, _ session: Session
    ) throws -> (lease: Recollection.Lease, hasQueues: Bool) {
        // Of an ended node others may have taken runs over: it cannot be the same one again. Neither can one that this process had and that
        // nobody knows of any more.
        let isAgain = former == node.id
        let isKnown = try session.exists(anyNode, node.id)
        guard isKnown || !isAgain else { throw StoreError.leaseLost }
        let lease = try session.first(
            insert, node.id, node.build, node.host, Int64(node.processID), node.hostedText, length, time,
            node.verifies
        ) { try Recollection.Lease(node.id, confirmed: $0, asked: asked) }
        guard let lease else { throw StoreError.leaseLost }
        // A process has one node: the one before it has ended with this.
        if let former, former != node.id { try session.execute(end, former, time) }
        try forgetIdle(session)
        try session.execute(rememberOwners, time)
        return (lease, try session.exists(anyQueue))
    }

    private static func forgetIdle(_ session: Session) throws {
        let ended = try session.all(lockEnded) { try $0.text(0) }
        // What it may have committed before its row was locked is seen by this.
        if !ended.isEmpty { try session.execute(forgetIdle, ended) }
    }

    private static let anyNode = SQL("SELECT 1 FROM perdure.nodes WHERE id = $1::text")

    package func unregister(_ node: NodeID) async throws(StoreError) {
        try requireEngine("host runs")
        let time = options.clock?(), recollection = recollection
        // A renewal that comes before it is noted all the same, on the same connection.
        try await write(on: leases) { session in
            recollection.forgetLease()
            try session.execute(Self.end, node, time)
            try Self.forgetIdle(session)
        }
        membership.withLock { if $0.node == node { $0 = Membership() } }
        recollection.forgetNode()
        bell.ring(Channel.all)
    }

    @discardableResult
    package func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        guard node == self.node else { throw .leaseLost }
        let length = leaseMicroseconds, time = options.clock?(), clock = serverClock, options = options
        let recollection = recollection
        let hasQueues = try await leases.perform { session in
            let asked = options.here
            // One statement: it holds no lock while an answer is on its way.
            let renewed = try session.first(Self.renewal, node, length, time) {
                (lease: try Recollection.Lease(node, confirmed: $0, asked: asked), hasQueues: try $0.bool(3))
            }
            guard let renewed else {
                if try session.lastRestoration()?.isStanding == true { throw StoreError.historyWentBack }
                throw StoreError.leaseLost
            }
            recollection.note(renewed.lease)
            try clock.read(session)
            return renewed.hasQueues
        }
        if hasQueues { self.hasQueues.store(true, ordering: .relaxed) }
        do {
            return try await endLapsed(besides: node)
        } catch {
            // The lease is renewed all the same; others are looked at again the next time.
            options.logger.warning("other nodes cannot be looked at for now: \(error)")
            return []
        }
    }

    @discardableResult
    package func endLapsed(besides own: NodeID) async throws(StoreError) -> [NodeID] {
        guard own == node else { throw .leaseLost }
        let time = options.clock?(), length = options.leaseLength
        let others = try await read(on: leases) { session in
            try session.all(Self.others, own, time) { row in
                Sightings.Lease(
                    node: NodeID(rawValue: try row.text(0)), renewals: try row.integer(1), until: try row.time(2), length: length,
                    now: try row.time(3))
            }
        }
        let nodes = membership.withLock { $0.sightings.look(at: others, length: length, here: options.here) }
        let lapsed = others.filter { nodes.contains($0.node) }
        if lapsed.isEmpty { return [] }
        let ended = try await write(on: leases) { session in
            let ended = try lapsed.filter { try session.execute(Self.endLapsed, $0.node, $0.renewals, time) == 1 }
            try Self.forgetIdle(session)
            return ended.map(\.node)
        }
        if !ended.isEmpty { bell.ring(Channel.all) }
        return ended
    }

    package func nodes() async throws(StoreError) -> [NodeStanding] {
        let time = options.clock?(), length = options.leaseLength
        return try await read(on: browser) { session in
            try session.all(Self.standing, time) { row in
                NodeStanding(
                    registration: try NodeRegistration(row), since: try row.time(5), ownedRuns: Int(try row.integer(8)),
                    // All nodes have leases of the same length.
                    renewedAt: try row.time(6) - length,
                    isOverdue: Sightings.Lease.isOver(until: try row.time(6), length: length, now: try row.time(7)),
                    isAwaited: try row.bool(9))
            }
        }
    }
}

extension NodeRegistration {
    fileprivate init(_ row: Row) throws(BadRow) {
        self.init(
            id: NodeID(rawValue: try row.text(0)), build: try row.text(1), host: try row.text(2),
            processID: Int32(truncatingIfNeeded: try row.integer(3)), hosted: try Self.hosted(stored: try row.text(4)),
            verifies: try row.optionalText(10))
    }
}

extension Recollection.Lease {
    /// - Parameter row: how often it was renewed, on which start of the server, and the last restoration.
    fileprivate init(_ node: NodeID, confirmed row: Row, asked: Timestamp) throws(BadRow) {
        self.init(
            node: node, renewals: try row.integer(0), server: try row.integer(1), restoration: try row.integer(2), asked: asked)
    }
}
