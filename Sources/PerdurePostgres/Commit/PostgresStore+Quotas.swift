internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    /// Commits have nothing to do with it.
    private static let alone = AdvisoryLock.quotas.take
    private static let noRounds = SQL("LOCK TABLE perdure.namespaces IN ROW EXCLUSIVE MODE")
    private static let one = SQL("SELECT \(QuotaRow.columns) FROM perdure.quotas WHERE namespace = $1::text")
    private static let begin = SQL(
        """
        INSERT INTO perdure.quotas (namespace, changed_by, changed_at) VALUES ($1::text, $2::text, \(StoreClock.now("$3")))
        ON CONFLICT DO NOTHING
        """)
    private static let delete = SQL("DELETE FROM perdure.quotas WHERE namespace = $1::text")
    private static let put = SQL(
        """
        UPDATE perdure.quotas SET max_open_runs = $2::bigint, max_payload = $3::bigint, rate_count = $4::bigint,
            rate_period = $5::bigint, rate_burst = $6::bigint, changed_by = $7::text, changed_at = \(StoreClock.now("$8"))
        WHERE namespace = $1::text
        """)
    private static let changes = "FROM perdure.quota_changes WHERE quota_changes.namespace = quotas.namespace"
    private static let countedRuns = "(open_runs + (SELECT coalesce(sum(open_runs), 0)::bigint \(changes)))"
    private static let countedPayload = "(payload + (SELECT coalesce(sum(payload), 0)::bigint \(changes)))"
    private static let openRunsMissed = SQL(
        "SELECT \(Schema.openRuns(of: "quotas.namespace")) - \(countedRuns), changed_at FROM perdure.quotas WHERE namespace = $1::text"
    )
    private static let payloadMissed = SQL(
        "SELECT \(Schema.payload(of: "quotas.namespace")) - \(countedPayload), changed_at FROM perdure.quotas WHERE namespace = $1::text"
    )
    private static let correctOpenRuns = SQL(
        """
        UPDATE perdure.quotas SET open_runs = open_runs + $2::bigint, is_counted = true
        WHERE namespace = $1::text AND NOT is_counted
        """)
    private static let correctPayload = SQL(
        """
        UPDATE perdure.quotas SET payload = payload + $2::bigint, is_payload_counted = true
        WHERE namespace = $1::text AND NOT is_payload_counted
        """)
    private static let all = SQL(
        """
        SELECT namespace, max_open_runs, max_payload, rate_count, rate_period, rate_burst, \(countedRuns), \(countedPayload),
            is_counted, is_payload_counted, next_slot, changed_by, changed_at
        FROM perdure.quotas WHERE is_counted ORDER BY namespace
        """)

    /// What is not counted yet is looked for while commits go on: once all that had begun before the row was there have ended, everything
    /// is counted by the triggers, and what one look finds missing stays missing by the same number until it is added.
    package func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        let time = options.clock?()
        let begun = try await begin(change, time: time)
        if let answer = begun.answer {
            hasQuotas.set(true)
            if answer, change.quotas.isUnlimited { await dropTriggers() }
            return answer
        }
        let isSet = try await put(change, begun, try await missed(by: change, begun), time: time)
        hasQuotas.set(true)
        if isSet, change.quotas.payloadBytes == nil { await dropTriggers() }
        return isSet
    }

    private func put(
        _ change: QuotaChange, _ begun: Begun, _ misses: QuotaMisses, time: Timestamp?
    ) async throws(StoreError) -> Bool {
        let namespace = change.namespace, quotas = change.quotas, rate = quotas.starts
        return try await write(on: queueLink) { session in
            _ = try session.exists(Self.alone)
            guard let row = try session.first(Self.one, namespace, row: { try QuotaRow($0) }) else { return false }
            if let answer = change.answer(on: row, after: begun.row, misses) { return answer }
            // Nor do other triggers tell what has happened since these were made.
            for (triggers, identity) in begun.triggers {
                if try triggers.identity(session) != identity { return false }
            }
            if quotas.payloadBytes != nil, misses.payload == nil, !row.isPayloadCounted { return false }
            if let missed = misses.openRuns { try session.execute(Self.correctOpenRuns, namespace, missed.count) }
            if let missed = misses.payload { try session.execute(Self.correctPayload, namespace, missed.count) }
            try session.execute(
                Self.put, namespace, quotas.openRuns.map { Int64($0) }, quotas.payloadBytes, rate.map { Int64($0.count) },
                rate.map { Int64($0.period / .microseconds(1)) }, rate.map { Int64($0.burst) }, change.sender.storedText, time)
            return true
        }
    }

    /// Takes away the triggers that no quota needs. Should others be in the way, the next change of quotas that leaves out bytes does it.
    private func dropTriggers() async {
        for triggers in QuotaTriggers.allCases {
            try? await write(on: queueLink) { session in
                _ = try session.exists(Self.alone)
                try session.run(QuotaTriggers.Patience.brief.rawValue)
                try triggers.dropUnneeded(session)
            }
        }
    }

    /// What is not counted of what there is. As long as the look takes it holds the tables, so that nobody takes away the triggers.
    private func missed(by change: QuotaChange, _ begun: Begun) async throws(StoreError) -> QuotaMisses {
        let namespace = change.namespace, (countsRuns, countsPayload) = change.counts(from: begun.row)
        guard countsRuns || countsPayload else { return QuotaMisses() }
        // For as long as it takes, in the way that the server thinks best, and with nothing of this process waiting behind it. If the
        // process ends the server stops.
        let connection = Connection(
            address, label: "perdure.postgres.counts", options: ConnectionOptions(answerLimit: .hours(7 * 24), isProven: true)
        ) { [watch] session in
            try watch.look(session)
            try session.run("SET statement_timeout = 0")
        }
        let result: Result<QuotaMisses, StoreError>
        do throws(StoreError) {
            result = .success(
                try await read(on: connection) { session in
                    // Each in one statement, which sees the count and what is counted as they are at one moment.
                    QuotaMisses(
                        openRuns: countsRuns
                            ? try session.first(Self.openRunsMissed, namespace, row: { try QuotaMisses.Miss($0) }) : nil,
                        payload: countsPayload
                            ? try session.first(Self.payloadMissed, namespace, row: { try QuotaMisses.Miss($0) }) : nil)
                })
        } catch {
            result = .failure(error)
        }
        await connection.close()
        return try result.get()
    }

    /// How often the tables are asked for, and how long they are left alone in between.
    private static let tries = 10
    private static let pause = Duration.milliseconds(200)

    /// Short tries, between which those go on that had to wait behind them, and then a longer one.
    private func begin(_ change: QuotaChange, time: Timestamp?) async throws(StoreError) -> Begun {
        var users = ""
        for attempt in 1...Self.tries {
            let patience = attempt < Self.tries ? QuotaTriggers.Patience.brief : .untilVacuumYields
            let begun = try await queueLink.perform { session -> Begun? in
                do {
                    return try session.untilNotOvertaken {
                        try session.transaction { try Self.begin(change, time: time, patience, session) }
                    }
                } catch is TablesInUse {
                    return nil
                }
            }
            if let begun { return begun }
            users = try await queueLink.perform { try QuotaTriggers.users($0) }
            // Whoever does not want to wait any more is told at once.
            guard attempt < Self.tries, (try? await Task.sleep(for: Self.pause)) != nil else { break }
        }
        throw .unavailable(
            "to count what a namespace takes, no commit may be under way in its tables for a moment, and there was no such moment: \(users)"
        )
    }

    /// Has everything counted from here on. Whoever has written something that was not counted has committed when this does.
    private static func begin(
        _ change: QuotaChange, time: Timestamp?, _ patience: QuotaTriggers.Patience, _ session: Session
    ) throws -> Begun {
        _ = try session.exists(alone)
        let row = try session.first(one, change.namespace) { try QuotaRow($0) }
        guard let isOpen = change.isOpen(on: row?.quotas ?? NamespaceQuotas()) else {
            // What is left of a call that was broken off before it had counted. One that is under way begins anew.
            if row != nil, change.quotas.isUnlimited { try session.execute(delete, change.namespace) }
            return Begun(answer: true, row: row)
        }
        guard isOpen else { return Begun(answer: false, row: row) }
        if change.quotas.isUnlimited {
            try session.execute(delete, change.namespace)
            return Begun(answer: true, row: nil)
        }
        var begun: [QuotaTriggers] = row == nil ? [.runs] : []
        if change.quotas.payloadBytes != nil, row?.isPayloadCounted != true { begun.append(.values) }
        try QuotaTriggers.demandRights(to: begun, session)
        // Rounds of removing lock tables in another order.
        try session.execute(noRounds)
        for triggers in begun { try triggers.begin(session, patience) }
        if row == nil { try session.execute(begin, change.namespace, change.sender.storedText, time) }
        var identities: [QuotaTriggers: Int64] = [:]
        for triggers in begun { identities[triggers] = try triggers.identity(session) }
        return Begun(answer: nil, row: row, triggers: identities)
    }

    private struct Begun: Sendable {
        /// What came of the change, if nothing has to be counted for it.
        let answer: Bool?
        let row: QuotaRow?
        /// By which triggers it is counted from there on, of those that did not count before.
        var triggers: [QuotaTriggers: Int64] = [:]
    }

    package func quotas() async throws(StoreError) -> [QuotaStanding] {
        try await read(on: browser) { session in try session.all(Self.all) { (try? QuotaRow($0))?.standing }.compactMap(\.self) }
    }

    private static let openRunsMiscounted = SQL(
        """
        SELECT 'namespace ' || namespace || ' counts ' || \(countedRuns) || ' open runs' FROM perdure.quotas
        WHERE is_counted AND \(countedRuns) <> \(Schema.openRuns(of: "quotas.namespace"))
        """)
    private static let payloadMiscounted = SQL(
        """
        SELECT 'namespace ' || namespace || ' counts ' || \(countedPayload) || ' bytes of values' FROM perdure.quotas
        WHERE is_payload_counted AND \(countedPayload) <> \(Schema.payload(of: "quotas.namespace"))
        """)

    static func quotaBreaches(_ session: Session) throws -> [String] {
        try [openRunsMiscounted, payloadMiscounted].flatMap { check in try session.all(check) { try $0.text(0) } }
            + session.all(all) { row in
                do throws(BadRow) {
                    _ = try QuotaRow(row)
                    return nil
                } catch {
                    return "the quotas of a namespace cannot be read: \(error)"
                }
            }.compactMap(\.self)
    }
}

extension QuotaRow {
    init(_ row: Row) throws(BadRow) {
        let rate = try row.optionalInteger(3).map { count throws(BadRow) in
            Rate(Int(clamping: count), per: .microseconds(try row.integer(4)), burst: Int(clamping: try row.integer(5)))
        }
        self.init(
            namespace: try row.text(0),
            quotas: NamespaceQuotas(
                openRuns: try row.optionalInteger(1).map { Int(clamping: $0) }, payloadBytes: try row.optionalInteger(2),
                starts: rate),
            openRuns: try row.integer(6), payload: try row.integer(7), isCounted: try row.bool(8),
            isPayloadCounted: try row.bool(9), slot: try row.time(10), changedBy: Principal(stored: try row.text(11)),
            changedAt: try row.time(12))
    }
}

extension QuotaMisses.Miss {
    fileprivate init(_ row: Row) throws(BadRow) { self.init(count: try row.integer(0), row: try row.time(1)) }
}
