internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let one = SQL("SELECT \(QuotaRow.columns) FROM quotas WHERE namespace = ?1")
    private static let all = SQL("SELECT \(QuotaRow.columns) FROM quotas WHERE is_counted <> 0 ORDER BY namespace")
    private static let begin = SQL(
        "INSERT INTO quotas (namespace, changed_by, changed_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
    private static let delete = SQL("DELETE FROM quotas WHERE namespace = ?1")
    private static let put = SQL(
        """
        UPDATE quotas SET max_open_runs = ?2, max_payload = ?3, rate_count = ?4, rate_period = ?5, rate_burst = ?6,
            changed_by = ?7, changed_at = ?8 WHERE namespace = ?1
        """)
    private static let openRunsMissed = SQL(
        "SELECT \(Schema.openRuns(of: "quotas.namespace")) - open_runs, changed_at FROM quotas WHERE namespace = ?1")
    private static let payloadMissed = SQL(
        "SELECT \(Schema.payload(of: "quotas.namespace")) - payload, changed_at FROM quotas WHERE namespace = ?1")
    private static let correctOpenRuns = SQL(
        "UPDATE quotas SET open_runs = open_runs + ?2, is_counted = 1 WHERE namespace = ?1 AND is_counted = 0")
    private static let correctPayload = SQL(
        """
        UPDATE quotas SET payload = payload + ?2, is_payload_counted = 1 WHERE namespace = ?1 AND is_payload_counted = 0
        """)

    /// What is not counted yet is looked for while commits go on: from the moment at which the row is there they are counted by the
    /// triggers, and what one look finds missing stays missing by the same number until it is added.
    package func setQuotas(_ change: QuotaChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        let now = now(), namespace = change.namespace
        let begun = try await write { session -> (answer: Bool?, row: QuotaRow?) in
            let row = try session.first(Self.one, namespace) { try QuotaRow($0) }
            guard let isOpen = change.isOpen(on: row?.quotas ?? NamespaceQuotas()) else {
                // What is left of a call that was broken off before it had counted. One that is under way begins anew.
                if row != nil, change.quotas.isUnlimited { try session.execute(Self.delete, namespace) }
                return (true, row)
            }
            guard isOpen else { return (false, row) }
            if change.quotas.isUnlimited {
                try session.execute(Self.delete, namespace)
                return (true, nil)
            }
            if row == nil { try session.execute(Self.begin, namespace, change.sender.storedText, now) }
            return (nil, row)
        }
        if let answer = begun.answer { return answer }
        let (countsRuns, countsPayload) = change.counts(from: begun.row)
        let misses = try await read(on: browser) { session in
            // Each in one statement, which sees the count and what is counted as they are at one moment.
            QuotaMisses(
                openRuns: countsRuns ? try session.first(Self.openRunsMissed, namespace, row: { try QuotaMisses.Miss($0) }) : nil,
                payload: countsPayload ? try session.first(Self.payloadMissed, namespace, row: { try QuotaMisses.Miss($0) }) : nil
            )
        }
        return try await write { session in
            guard let row = try session.first(Self.one, namespace, row: { try QuotaRow($0) }) else { return false }
            if let answer = change.answer(on: row, after: begun.row, misses) { return answer }
            if let missed = misses.openRuns { try session.execute(Self.correctOpenRuns, namespace, missed.count) }
            if let missed = misses.payload { try session.execute(Self.correctPayload, namespace, missed.count) }
            let quotas = change.quotas, rate = quotas.starts
            try session.execute(
                Self.put, namespace, quotas.openRuns, quotas.payloadBytes, rate?.count,
                rate.map { Int64($0.period / .microseconds(1)) }, rate?.burst, change.sender.storedText, now)
            return true
        }
    }

    package func quotas() async throws(StoreError) -> [QuotaStanding] {
        try await read(on: browser) { session in try session.all(Self.all) { (try? QuotaRow($0))?.standing }.compactMap(\.self) }
    }

    private static let openRunsMiscounted = SQL(
        """
        SELECT 'namespace ' || namespace || ' counts ' || open_runs || ' open runs' FROM quotas
        WHERE is_counted <> 0 AND open_runs <> \(Schema.openRuns(of: "quotas.namespace"))
        """)
    private static let payloadMiscounted = SQL(
        """
        SELECT 'namespace ' || namespace || ' counts ' || payload || ' bytes of values' FROM quotas
        WHERE is_payload_counted <> 0 AND payload <> \(Schema.payload(of: "quotas.namespace"))
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
    fileprivate init(_ row: Statement) throws(BadRow) {
        let rate = try row.optionalInteger(3).map { count throws(BadRow) in
            Rate(Int(clamping: count), per: .microseconds(try row.integer(4)), burst: Int(clamping: try row.integer(5)))
        }
        self.init(
            namespace: try row.text(0),
            quotas: NamespaceQuotas(
                openRuns: try row.optionalInteger(1).map { Int(clamping: $0) }, payloadBytes: try row.optionalInteger(2),
                starts: rate),
            openRuns: try row.integer(6), payload: try row.integer(7), isCounted: try row.integer(8) != 0,
            isPayloadCounted: try row.integer(9) != 0, slot: Timestamp(microseconds: try row.integer(10)),
            changedBy: Principal(stored: try row.text(11)), changedAt: Timestamp(microseconds: try row.integer(12)))
    }
}

extension QuotaMisses.Miss {
    fileprivate init(_ row: Statement) throws(BadRow) {
        self.init(count: try row.integer(0), row: Timestamp(microseconds: try row.integer(1)))
    }
}

extension Session {
    private static let quota = SQL("SELECT \(QuotaRow.columns) FROM quotas WHERE namespace = ?1")
    private static let take = SQL("UPDATE quotas SET next_slot = ?2 WHERE namespace = ?1")

    /// The quotas that hold for runs of the namespace; nil if there are none.
    func quotaUse(of namespace: String) throws -> QuotaUse? {
        try first(Self.quota, namespace) { try QuotaRow($0).use }
    }

    /// After runs were started: what they take is counted by the triggers, but for the rate.
    func keep(_ use: QuotaUse) throws {
        if use.quotas.starts != nil { try execute(Self.take, use.namespace, use.slot) }
    }
}
