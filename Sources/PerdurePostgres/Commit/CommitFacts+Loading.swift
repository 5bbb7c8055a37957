internal import Perdure
internal import PerdureHistory
internal import PerdureStore

// Who is meant, if runs are meant by their ids or as waiters; then, behind the locks, how they are, and what that makes worth knowing.
extension CommitFacts {
    private static let namedRuns = SQL("SELECT number FROM perdure.runs WHERE id = ANY($1::text[]::uuid[])")
    /// The ends of the chains that these runs are part of, or have begun.
    private static let chainEndsOf = SQL(
        """
        SELECT number FROM perdure.runs WHERE origin IS NOT NULL AND successor IS NULL AND origin IN (
            SELECT coalesce(origin, id) FROM perdure.runs WHERE id = ANY($1::text[]::uuid[])
            UNION ALL SELECT unnest($1::text[]::uuid[]))
        """)
    private static let namedRunsWithin = SQL(
        """
        SELECT runs.number FROM unnest($1::text[], $2::text[]) AS wanted (id, namespace)
            JOIN perdure.runs ON runs.id = wanted.id::uuid AND runs.namespace = wanted.namespace
        """)
    private static let chainEndsWithin = SQL(
        """
        SELECT runs.number FROM (
            SELECT coalesce(begun.origin, begun.id) AS origin, wanted.namespace
            FROM unnest($1::text[], $2::text[]) AS wanted (id, namespace) JOIN perdure.runs AS begun ON begun.id = wanted.id::uuid
            UNION ALL SELECT wanted.id::uuid, wanted.namespace FROM unnest($1::text[], $2::text[]) AS wanted (id, namespace)
            ) AS chains JOIN perdure.runs ON runs.origin = chains.origin AND runs.namespace = chains.namespace
        WHERE runs.origin IS NOT NULL AND runs.successor IS NULL
        """)
    private static let waitingRuns = SQL(
        """
        SELECT DISTINCT waiters.run
        FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (namespace, step, key)
            JOIN perdure.business_keys USING (namespace, step, key)
            JOIN perdure.business_key_waiters AS waiters ON waiters.key = business_keys.number
        """)
    /// In the order of their numbers, as everybody does it: two commits never wait for each other.
    private static let lock = SQL(
        "SELECT 1 FROM perdure.runs WHERE number = ANY($1::bigint[]) ORDER BY number FOR NO KEY UPDATE")
    private static let lockedRuns = SQL(
        """
        SELECT \(RunRecord.columns), \(ChainHead.columns), runs.needs_retry, runs.since,
            EXISTS (SELECT 1 FROM perdure.wakes WHERE wakes.run = runs.number)
        FROM unnest($1::bigint[]) AS wanted (number) JOIN perdure.runs USING (number) \(ChainHead.join)
        """)
    private static let unreadKinds = SQL(
        """
        SELECT run, kind, min(name), min(at) FROM perdure.inbox
        WHERE run = ANY($1::bigint[]) AND NOT consumed
            AND NOT EXISTS (SELECT 1 FROM unnest($2::bigint[]) AS taken (number) WHERE taken.number = inbox.number)
        GROUP BY run, kind
        """)
    private static let known = SQL(
        """
        SELECT run, delivery_id, \(KnownDelivery.column)
        FROM unnest($1::bigint[], $2::text[]) AS wanted (run, delivery_id) JOIN perdure.inbox USING (run, delivery_id)
            JOIN perdure.runs ON runs.number = run
        """)
    private static let wanted = SQL("SELECT number, run, consumed FROM perdure.inbox WHERE number = ANY($1::bigint[])")
    private static let keysOf = SQL(
        """
        SELECT \(BusinessKeyRow.columns)
        FROM perdure.business_keys
        WHERE (namespace, step, key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
        ORDER BY namespace, step, key FOR NO KEY UPDATE
        """)
    private static let waitersOf = SQL(
        """
        SELECT business_keys.namespace, business_keys.step, business_keys.key, waiters.run, runs.id::text, waiters.subject
        FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (namespace, step, key)
            JOIN perdure.business_keys USING (namespace, step, key)
            JOIN perdure.business_key_waiters AS waiters ON waiters.key = business_keys.number
            JOIN perdure.runs ON runs.number = waiters.run
        ORDER BY waiters.run, waiters.subject
        """)
    private static let keyedRuns = SQL(
        """
        SELECT \(RunRecord.columns) FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (namespace, workflow, key)
            JOIN perdure.runs USING (namespace, workflow, key)
        """)
    private static let numbersForRuns = SQL("SELECT nextval('perdure.run_numbers') FROM generate_series(1, $1::bigint)")

    /// Locks what the items may change, and reads it.
    ///
    /// - Parameters:
    ///   - appends: are written with the first round trip.
    ///   - node: the one of this process; nil in a client.
    ///   - time: the store's time, where it is not the server's.
    ///   - hasQuotas: Whether quotas have to be held. Whoever starts a run and finds that it is otherwise begins anew.
    convenience init(
        for wishes: CommitWishes, _ appends: Appends = Appends(), node: NodeID?, time: Timestamp?, _ hasQuotas: QuotaNotice,
        _ session: Session
    ) throws {
        self.init()
        let holdsQuotas = hasQuotas.isSet
        let meant = try Self.meant(by: wishes, session), locked = meant.union(appends.numbers).sorted()
        let keys = wishes.keys.columns
        try session.pipeline { pipe in
            if wishes.creations > 0 { try holdOffRestorations(pipe) }
            if !wishes.starting.isEmpty { try announceStarts(pipe) }
            if holdsQuotas { try holdQuotas(of: wishes.starting, pipe) }
            if !locked.isEmpty { try pipe.execute(Self.lock, locked) }
            if !appends.isEmpty { try send(appends, node, time, hasQuotas, pipe) }
            // Its clock counts for all items.
            try pipe.all(Presence.ask, time, node) { [self] row in try take(Presence(row), node, hasQuotas) }
            try lockSchedules(wishes.schedules, pipe)
            try readQueues(wishes.queues, pipe)
            if !meant.isEmpty { try pipe.all(Self.lockedRuns, Array(meant)) { [self] row in add(try RunFacts(row)) } }
            if wishes.creations > 0 {
                try pipe.all(Self.numbersForRuns, wishes.creations) { [self] row in freeNumbers.append(try row.integer(0)) }
            }
            if !wishes.consumed.isEmpty {
                try pipe.all(Self.wanted, wishes.consumed) { [self] row in
                    consumable[try row.integer(0)] = (run: try row.integer(1), isConsumed: try row.bool(2))
                }
            }
            if !wishes.workflowKeys.isEmpty {
                let keys = Array(wishes.workflowKeys)
                try pipe.all(Self.keyedRuns, keys.map(\.namespace), keys.map(\.workflow), keys.map(\.key)) { [self] row in
                    let record = try RunRecord(row)
                    guard let key = record.key else { return }
                    keyed[WorkflowKey(namespace: record.namespace, workflow: record.workflow, key: key)] = record
                }
            }
            if !wishes.keys.isEmpty {
                try pipe.all(Self.keysOf, keys.namespaces, keys.steps, keys.keys) { [self] row in
                    let found = try BusinessKeyRow(row)
                    self.keys[found.record.key] = KeyFacts(number: found.number, record: found.record)
                }
            }
        }
        if !holdsQuotas, hasQuotas.isSet, !wishes.starting.isEmpty { throw Overtaken() }
        try session.pipeline { pipe in
            try readUnread(of: wishes, pipe)
            try readPlaces(of: wishes.moved, pipe)
            try readKnown(of: wishes.deliveries, pipe)
            if !wishes.settled.isEmpty { try readWaiters(of: wishes.settled, pipe) }
        }
    }

    /// Writes what is only appended, and commits it.
    convenience init(writing appends: Appends, node: NodeID?, time: Timestamp?, _ hasQuotas: QuotaNotice, _ session: Session)
        throws
    {
        self.init()
        try session.pipeline { pipe in
            try pipe.execute(Self.lock, appends.numbers.sorted())
            try send(appends, node, time, hasQuotas, pipe)
            try pipe.commit()
        }
    }

    private func send(
        _ appends: Appends, _ node: NodeID?, _ time: Timestamp?, _ hasQuotas: QuotaNotice, _ pipe: Pipeline
    ) throws {
        try appends.send(
            pipe, node, time, found: { [self] presence in try take(presence, node, hasQuotas) },
            shut: { [self] run in shut.insert(run) })
    }

    private func take(_ presence: Presence, _ node: NodeID?, _ hasQuotas: QuotaNotice) throws {
        now = presence.now
        (standing, lifted) = (presence.standing, presence.lifted)
        hasQuotas.set(presence.hasQuotas)
        // Of one look, as all of it is.
        self.node = nil
        guard let node, presence.isAlive else { return }
        try Presence.require(presence.awaited)
        self.node = node
    }

    /// The numbers of all runs whose rows the items look at or change.
    private static func meant(by wishes: CommitWishes, _ session: Session) throws -> Set<Int64> {
        var numbers = wishes.advanced
        if wishes.named.isEmpty, wishes.namedWithin.isEmpty, wishes.settled.isEmpty { return numbers }
        try session.pipeline { pipe in
            if !wishes.named.isEmpty {
                try pipe.all(namedRuns, wishes.named.map(\.description)) { row in numbers.insert(try row.integer(0)) }
            }
            let named = wishes.namedWithin
            if !named.isEmpty {
                try pipe.all(namedRunsWithin, named.map { $0.run.description }, named.map { $0.namespace }) { row in
                    numbers.insert(try row.integer(0))
                }
            }
            let following = wishes.deliveries.filter(\.kind.followsRun)
            let targets = Set(following.filter { $0.within == nil }.map(\.run.description))
            if !targets.isEmpty {
                try pipe.all(chainEndsOf, Array(targets)) { row in numbers.insert(try row.integer(0)) }
            }
            let confined = following.filter { $0.within != nil }
            if !confined.isEmpty {
                try pipe.all(chainEndsWithin, confined.map(\.run.description), confined.map { $0.within ?? "" }) { row in
                    numbers.insert(try row.integer(0))
                }
            }
            if !wishes.settled.isEmpty {
                let keys = wishes.settled.columns
                try pipe.all(waitingRuns, keys.namespaces, keys.steps, keys.keys) { row in numbers.insert(try row.integer(0)) }
            }
        }
        return numbers
    }

    /// Of the runs whose wakes have to be told anew: those that change their state, and those that read one of the messages by which
    /// anyone could have been woken.
    private func readUnread(of wishes: CommitWishes, _ pipe: Pipeline) throws {
        let asked = wishes.moved.union(wishes.readers.filter { runs[$0]?.hasWake ?? false })
        if asked.isEmpty { return }
        for run in asked { runs[run]?.unread = [:] }
        try pipe.all(Self.unreadKinds, Array(asked), wishes.consumed) { [self] row in
            // What cannot be is found when the inbox is read.
            let kind = InboxKind(rawValue: try row.text(1)) ?? .unreadable
            runs[try row.integer(0)]?.unread?[kind] = UnreadKind(name: try row.text(2), at: try row.time(3))
        }
    }

    /// Whether the messages are there already, for those to whom they may go.
    private func readKnown(of deliveries: [Delivery], _ pipe: Pipeline) throws {
        var places: [DeliveryPlace] = []
        for delivery in deliveries {
            let run = numbers[delivery.run]
            if let run { places.append(DeliveryPlace(run: run, id: delivery.id)) }
            guard delivery.kind.followsRun else { continue }
            let origin = run.flatMap { runs[$0]?.record.origin?.run } ?? delivery.run
            if let end = chainEnds[origin] { places.append(DeliveryPlace(run: end, id: delivery.id)) }
        }
        if places.isEmpty { return }
        try pipe.all(Self.known, places.map(\.run), places.map(\.id)) { [self] row in
            knownDeliveries[DeliveryPlace(run: try row.integer(0), id: try row.text(1))] =
                KnownDelivery(digest: try row.optionalBytes(2))
        }
    }

    private func readWaiters(of settled: Set<BusinessKey>, _ pipe: Pipeline) throws {
        let keys = settled.columns
        try pipe.all(Self.waitersOf, keys.namespaces, keys.steps, keys.keys) { [self] row in
            // Began to wait after the rows were locked.
            guard runs[try row.integer(3)] != nil else { throw Overtaken() }
            let key = BusinessKey(namespace: try row.text(0), step: try row.text(1), key: try row.text(2))
            self.keys[key]?.waiters.append(KeyWaiter(run: try row.runID(4), subject: try row.text(5)))
        }
    }
}

extension RunFacts {
    fileprivate init(_ row: Row) throws(BadRow) {
        let record = try RunRecord(row), column = RunRecord.columnCount
        self.init(
            record: record, needsRetry: try row.bool(column + 3), since: try row.time(column + 4),
            head: try ChainHead(row, from: column, run: record.number))
        hasWake = try row.bool(column + 5)
    }
}

extension Set<BusinessKey> {
    fileprivate var columns: (namespaces: [String], steps: [String], keys: [String]) {
        let keys = Array(self)
        return (keys.map(\.namespace), keys.map(\.step), keys.map(\.key))
    }
}
