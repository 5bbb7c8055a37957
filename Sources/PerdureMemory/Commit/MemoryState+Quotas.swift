internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What is set for a namespace. What is taken of it is looked for when somebody starts a run there.
struct MemoryQuota: Sendable {
    var quotas: NamespaceQuotas
    var slot = Timestamp.epoch
    var changedBy: Principal
    var changedAt: Timestamp
}

extension MemoryState {
    mutating func setQuotas(_ change: QuotaChange, now: Timestamp) -> Bool {
        guard let isOpen = change.isOpen(on: quotas[change.namespace]?.quotas ?? NamespaceQuotas()) else { return true }
        guard isOpen else { return false }
        if change.quotas.isUnlimited {
            quotas[change.namespace] = nil
        } else {
            var quota = quotas[change.namespace] ?? MemoryQuota(quotas: change.quotas, changedBy: change.sender, changedAt: now)
            (quota.quotas, quota.changedBy, quota.changedAt) = (change.quotas, change.sender, now)
            quotas[change.namespace] = quota
        }
        return true
    }

    func quotaStandings() -> [QuotaStanding] {
        quotas.keys.sorted { ByteText($0) < ByteText($1) }.compactMap { name in
            guard let quota = quotas[name], let use = quotaUse(of: name) else { return nil }
            return QuotaStanding(
                namespace: name, quotas: quota.quotas, openRuns: use.openRuns, payloadBytes: use.payloadBytes,
                changedBy: quota.changedBy, changedAt: quota.changedAt)
        }
    }

    private func quotaUse(of namespace: String) -> QuotaUse? {
        guard let quota = quotas[namespace] else { return nil }
        let name = ByteText(namespace)
        var open: Int64 = 0, payload: Int64 = 0
        for run in runs where !run.isGone && ByteText(run.record.namespace) == name {
            if !run.record.state.endsWaits { open += 1 }
            if quota.quotas.payloadBytes != nil { payload += run.valueSize }
        }
        return QuotaUse(
            namespace: namespace, quotas: quota.quotas, openRuns: open,
            payloadBytes: quota.quotas.payloadBytes.map { _ in payload }, slot: quota.slot)
    }

    /// Takes what the runs need, which are of one namespace and do not exist yet, or says why there is no room for them. Whoever asks makes
    /// them afterwards.
    mutating func takeQuota(for starts: [NewRun], now: Timestamp) -> CommitRefusal? {
        guard let namespace = starts.first?.record.namespace, var use = quotaUse(of: namespace) else { return nil }
        if let refusal = use.take(starts, now: now) { return .quotaExceeded(refusal) }
        quotas[namespace]?.slot = use.slot
        return nil
    }
}

extension MemoryRun {
    /// A large value counts once, however many events have it.
    fileprivate var valueSize: Int64 {
        var size: Int64 = 0, large: Set<[UInt8]> = []
        for value in events.flatMap({ [$0.input, $0.output] }).compactMap(\.self) {
            if value.isLarge, !large.insert(value.digest).inserted { continue }
            size += value.size
        }
        return size
    }
}
