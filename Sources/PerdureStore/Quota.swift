package import Perdure
package import PerdureHistory

/// Why a namespace may start nothing now.
package struct QuotaRefusal: Sendable, Hashable, CustomStringConvertible {
    package enum Quota: String, Sendable, Hashable {
        case openRuns = "open_runs"
        case payload
        case starts
    }

    package var namespace: String
    package var quota: Quota
    /// What is allowed, and what is taken. Of starts the limit is how many in one period.
    package var limit: Int64
    package var used: Int64
    /// After how long the rate allows the next start.
    package var wait: Duration?
    /// How far apart the rate allows the starts that follow.
    package var spacing: Duration?

    package init(namespace: String, quota: Quota, limit: Int64, used: Int64, wait: Duration? = nil, spacing: Duration? = nil) {
        self.namespace = namespace
        self.quota = quota
        self.limit = limit
        self.used = used
        self.wait = wait
        self.spacing = spacing
    }

    package var description: String {
        switch quota {
        case .openRuns: "namespace '\(namespace)' has \(used) open runs, and \(limit) are allowed"
        case .payload: "namespace '\(namespace)' keeps \(used) bytes of values, and \(limit) are allowed"
        case .starts: "namespace '\(namespace)' has started as many runs as its rate allows"
        }
    }
}

/// What a namespace may take, and what it takes.
package struct QuotaStanding: Sendable, Hashable {
    package var namespace: String
    package var quotas: NamespaceQuotas
    package var openRuns: Int64
    /// nil as long as it is not counted. Where there are no quotas of bytes any more it need not be.
    package var payloadBytes: Int64?
    package var changedBy: Principal
    package var changedAt: Timestamp

    package init(
        namespace: String, quotas: NamespaceQuotas, openRuns: Int64, payloadBytes: Int64?, changedBy: Principal,
        changedAt: Timestamp
    ) {
        self.namespace = namespace
        self.quotas = quotas
        self.openRuns = openRuns
        self.payloadBytes = payloadBytes
        self.changedBy = changedBy
        self.changedAt = changedAt
    }
}

/// A change of a namespace's quotas: made only if they still are as the caller has seen them.
package struct QuotaChange: Sendable, Hashable {
    package var namespace: String
    package var expected: NamespaceQuotas
    package var quotas: NamespaceQuotas
    package var sender: Principal

    package init(_ namespace: String, from expected: NamespaceQuotas, to quotas: NamespaceQuotas, by sender: Principal) {
        self.namespace = namespace
        self.expected = expected
        self.quotas = quotas
        self.sender = sender
    }

    package var flaw: String? { Name.isIdentifier(namespace) ? nil : "a namespace's name is no identifier" }

    /// Whether it may be made where these quotas stand; nil if they are what it wants already.
    package func isOpen(on current: NamespaceQuotas) -> Bool? { current == quotas ? nil : current == expected }
}

/// The quotas of one namespace with what is taken of them, while somebody holds them who starts runs. The rule that all stores share.
package struct QuotaUse: Sendable, Hashable {
    package let namespace: String
    package let quotas: NamespaceQuotas
    package private(set) var openRuns: Int64
    /// nil where no quota asks for it.
    package private(set) var payloadBytes: Int64?
    /// When the next start would be due if all were evenly spread.
    package private(set) var slot: Timestamp

    package init(namespace: String, quotas: NamespaceQuotas, openRuns: Int64, payloadBytes: Int64?, slot: Timestamp) {
        self.namespace = namespace
        self.quotas = quotas
        self.openRuns = openRuns
        self.payloadBytes = payloadBytes
        self.slot = slot
    }

    /// Takes what these runs need, all of it or nothing.
    package mutating func take(_ runs: [NewRun], now: Timestamp) -> QuotaRefusal? {
        let count = Int64(runs.count), size = runs.reduce(0) { $0 + $1.events.valueSize }
        func refusal(
            _ quota: QuotaRefusal.Quota, _ limit: Int64, _ used: Int64, wait: Duration? = nil, spacing: Duration? = nil
        ) -> QuotaRefusal {
            QuotaRefusal(namespace: namespace, quota: quota, limit: limit, used: used, wait: wait, spacing: spacing)
        }
        if let limit = quotas.openRuns.map({ Int64($0) }), openRuns > limit - count { return refusal(.openRuns, limit, openRuns) }
        if let limit = quotas.payloadBytes, let payloadBytes, payloadBytes > limit - size {
            return refusal(.payload, limit, payloadBytes)
        }
        if let rate = quotas.starts {
            guard rate.allowance(slot, now: now) >= runs.count else {
                // More than a burst are never allowed at once: then it is for the caller to ask for fewer.
                let wait = max(rate.opens(slot, now: now).duration(since: now), .milliseconds(1))
                return refusal(.starts, Int64(rate.count), Int64(rate.count), wait: wait, spacing: rate.spacing)
            }
            slot = rate.slot(after: runs.count, from: slot, now: now)
        }
        openRuns += count
        payloadBytes = payloadBytes.map { $0 + size }
        return nil
    }
}

extension [Event] {
    /// The bytes of their inputs and outputs.
    package var valueSize: Int64 { reduce(0) { $0 + ($1.input?.size ?? 0) + ($1.output?.size ?? 0) } }
}
