internal import Perdure
internal import PerdureHistory
internal import PerdureStore
internal import Synchronization

/// Whether there are quotas, as the last commit has found. It may be wrong at any time: whoever starts runs finds out in the commit itself.
final class QuotaNotice: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set(_ isSet: Bool) { value.store(isSet, ordering: .relaxed) }
}

extension CommitFacts {
    /// Before a transaction that starts runs asks whether there are quotas. Whoever sets the first one of a namespace locks the table
    /// against it: either the starts are committed and counted before the quota holds, or this waits until it is there to be seen.
    private static let open = SQL("LOCK TABLE perdure.runs IN ROW EXCLUSIVE MODE")
    /// Before any other lock of rows, and in the order of their names: two that start runs never wait for each other, and nobody who holds
    /// a run waits for a quota.
    private static let hold = SQL(
        "SELECT 1 FROM perdure.quotas WHERE namespace = ANY($1::text[]) ORDER BY namespace FOR NO KEY UPDATE")
    /// What was committed until the row was held. Nobody else takes it in.
    private static let takeIn = SQL(
        """
        WITH taken AS (
            DELETE FROM perdure.quota_changes USING perdure.quotas
            WHERE quota_changes.namespace = ANY($1::text[]) AND quotas.namespace = quota_changes.namespace
            RETURNING quota_changes.namespace, quota_changes.open_runs, quota_changes.payload)
        UPDATE perdure.quotas SET open_runs = quotas.open_runs + summed.open_runs, payload = quotas.payload + summed.payload
        FROM (SELECT namespace, sum(open_runs)::bigint AS open_runs, sum(payload)::bigint AS payload
            FROM taken GROUP BY namespace) AS summed
        WHERE quotas.namespace = summed.namespace
        """)
    private static let held = SQL("SELECT \(QuotaRow.columns) FROM perdure.quotas WHERE namespace = ANY($1::text[])")
    private static let keep = SQL(
        """
        UPDATE perdure.quotas SET next_slot = new.slot FROM unnest($1::text[], $2::bigint[]) AS new (namespace, slot)
        WHERE quotas.namespace = new.namespace
        """)

    func announceStarts(_ pipe: Pipeline) throws { try pipe.execute(Self.open) }

    func holdQuotas(of namespaces: Set<String>, _ pipe: Pipeline) throws {
        if namespaces.isEmpty { return }
        let namespaces = Array(namespaces)
        try pipe.execute(Self.hold, namespaces)
        try pipe.execute(Self.takeIn, namespaces)
        try pipe.all(Self.held, namespaces) { [self] row in
            let use = try QuotaRow(row).use
            quotas[use.namespace] = use
        }
    }

    /// What is taken is counted by the triggers, but for the rate.
    func sendQuotas(_ pipe: Pipeline) throws {
        let rated = quotas.values.filter { $0.quotas.starts != nil }.sorted { $0.namespace < $1.namespace }
        if !rated.isEmpty { try pipe.execute(Self.keep, rated.map(\.namespace), rated.map(\.slot.microseconds)) }
    }
}
