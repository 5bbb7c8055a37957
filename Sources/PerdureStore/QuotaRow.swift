package import Perdure
package import PerdureHistory

/// What a store keeps of a namespace's quotas.
package struct QuotaRow: Sendable {
    /// Of the table `quotas`, in the order in which a store decodes them.
    package static let columns = """
        namespace, max_open_runs, max_payload, rate_count, rate_period, rate_burst, open_runs, payload, is_counted,
        is_payload_counted, next_slot, changed_by, changed_at
        """

    package let namespace: String
    package let quotas: NamespaceQuotas
    package let openRuns: Int64
    package let payload: Int64
    /// Whether everything is counted; not so while the first quotas of a namespace are being set.
    package let isCounted: Bool
    package let isPayloadCounted: Bool
    /// When the next start would be due if all were evenly spread.
    package let slot: Timestamp
    package let changedBy: Principal
    package let changedAt: Timestamp

    package init(
        namespace: String, quotas: NamespaceQuotas, openRuns: Int64, payload: Int64, isCounted: Bool, isPayloadCounted: Bool,
        slot: Timestamp, changedBy: Principal?, changedAt: Timestamp
    ) {
        self.namespace = namespace
        self.quotas = quotas
        self.openRuns = openRuns
        self.payload = payload
        self.isCounted = isCounted
        self.isPayloadCounted = isPayloadCounted
        self.slot = slot
        self.changedBy = changedBy ?? Principal(.system, "unknown")
        self.changedAt = changedAt
    }

    package var standing: QuotaStanding {
        QuotaStanding(
            namespace: namespace, quotas: quotas, openRuns: openRuns, payloadBytes: isPayloadCounted ? payload : nil,
            changedBy: changedBy, changedAt: changedAt)
    }

    package var use: QuotaUse {
        QuotaUse(
            namespace: namespace, quotas: quotas, openRuns: openRuns, payloadBytes: isPayloadCounted ? payload : nil, slot: slot)
    }
}

/// What of a namespace was not counted by the time at which its count began; nil of what need not be looked for.
package struct QuotaMisses: Sendable {
    package struct Miss: Sendable {
        package let count: Int64
        /// Which row it was: when it was changed last.
        package let row: Timestamp

        package init(count: Int64, row: Timestamp) {
            self.count = count
            self.row = row
        }
    }

    package let openRuns: Miss?
    package let payload: Miss?

    package init(openRuns: Miss? = nil, payload: Miss? = nil) {
        self.openRuns = openRuns
        self.payload = payload
    }
}

extension QuotaChange {
    /// What has to be looked for before it holds, where this row was found.
    package func counts(from row: QuotaRow?) -> (openRuns: Bool, payload: Bool) {
        (row?.isCounted != true, quotas.payloadBytes != nil && row?.isPayloadCounted != true)
    }

    /// What is said without a change once everything has been looked for, if the row does not stand as it was found; nil if it does.
    package func answer(on row: QuotaRow, after found: QuotaRow?, _ misses: QuotaMisses) -> Bool? {
        guard let isOpen = isOpen(on: row.quotas) else { return true }
        guard isOpen, row.isCounted == (found?.isCounted ?? false) else { return false }
        // Somebody may have removed the row meanwhile and made another one, which is not the one that was looked at.
        return [misses.openRuns, misses.payload].allSatisfy { $0?.row ?? row.changedAt == row.changedAt } ? nil : false
    }
}
