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
    /// Open runs up to this number are marked (`run.restored`). Back to 0 when it is noticed or said once more: what was lost then may be
    /// of any of them.
    package var markedUpTo: Int64
    /// How many were marked.
    package var marked: Int64
    /// When all were; nil as long as it stands.
    package var liftedAt: Timestamp?
    package var liftedBy: Principal?

    package init(
        number: Int64, noticedAt: Timestamp, noticedBy: String, reason: String, markedUpTo: Int64 = 0,
        marked: Int64 = 0, liftedAt: Timestamp? = nil, liftedBy: Principal? = nil
    ) {
        self.number = number
        self.noticedAt = noticedAt
        self.noticedBy = noticedBy
        self.reason = reason
        self.markedUpTo = markedUpTo
        self.marked = marked
        self.liftedAt = liftedAt
        self.liftedBy = liftedBy
    }

    package var isStanding: Bool { liftedAt == nil }

    /// That it was lifted.
    package struct Lift: Sendable, Hashable {
        package var at: Timestamp
        package var by: Principal

        package init(at: Timestamp, by: Principal) {
            self.at = at
            self.by = by
        }
    }

    package var lift: Lift? {
        guard let liftedAt, let liftedBy else { return nil }
        return Lift(at: liftedAt, by: liftedBy)
    }

    /// How much one call marks at most, whatever is asked for: it is one transaction.
    package static let mostAtOnce = 500

    /// By how much marking raises a run's epoch: by more than the lost part can have, so that fencing tokens go on growing.
    package static let epochRise: Int64 = 1_000_000

    /// The epoch of a run that another one makes in its own `epoch`. It may have made the same run in a part that is lost. Whether a loss
    /// was ever marked in it, in the run that made it or in one before tells the epoch: none of the others comes up to a rise.
    package static func epoch(ofRunMadeIn epoch: Int64, atLeast first: Int64) -> Int64 {
        max(first, epoch < epochRise ? 0 : epoch)
    }
}

extension RunState {
    /// The states of runs that may still do something: those whose histories are marked.
    package static let restorable: [RunState] = allCases.filter { !$0.isFinal && $0 != .quarantined }
}
