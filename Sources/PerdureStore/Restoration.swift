package import Perdure
package import PerdureHistory

/// That the store's history went back: it was restored from a backup, or a replica took over that was behind. As long as it stands no run
/// is claimed, and nothing of one is begun.
package struct Restoration: Sendable, Hashable {
    package var number: Int64
    package var noticedAt: Timestamp
    /// The node that has noticed it, or who has said so.
    package var noticedBy: String
    /// What it was noticed by, as a sentence.
    package var reason: String
    /// The highest number that a run had by then. Later ones began afterwards.
    package var lastRun: Int64
    /// Open runs up to this number are marked (`run.restored`).
    package var markedUpTo: Int64
    /// How many were marked.
    package var marked: Int64
    /// When all were; nil as long as it stands.
    package var liftedAt: Timestamp?
    package var liftedBy: Principal?

    package init(
        number: Int64, noticedAt: Timestamp, noticedBy: String, reason: String, lastRun: Int64, markedUpTo: Int64 = 0,
        marked: Int64 = 0, liftedAt: Timestamp? = nil, liftedBy: Principal? = nil
    ) {
        self.number = number
        self.noticedAt = noticedAt
        self.noticedBy = noticedBy
        self.reason = reason
        self.lastRun = lastRun
        self.markedUpTo = markedUpTo
        self.marked = marked
        self.liftedAt = liftedAt
        self.liftedBy = liftedBy
    }

    package var isStanding: Bool { liftedAt == nil }

    /// How much one call marks at most, whatever is asked for: it is one transaction.
    package static let mostAtOnce = 500
}

extension RunState {
    /// The states of runs that may still do something: those whose histories are marked.
    package static let restorable: [RunState] = allCases.filter { !$0.isFinal && $0 != .quarantined }
}
