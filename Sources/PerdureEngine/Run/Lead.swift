import Perdure
import PerdureHistory
import Synchronization

/// Runs that are due in a moment stay in memory for it: giving one up and bringing it back takes two commits and a replay.
final class Lead: Sendable {
    /// How long a moment is.
    let span: Duration
    private let hasEnded = Atomic<Bool>(false)

    init(_ span: Duration) { self.span = span }

    /// From now on every run that only waits is given up, whenever it is due.
    func end() { hasEnded.store(true, ordering: .relaxed) }

    var isOver: Bool { hasEnded.load(ordering: .relaxed) }

    /// Whether a run that is due at this time, if at all, stays.
    func covers(_ due: Timestamp?, now: Timestamp) -> Bool {
        guard let due else { return false }
        return due <= now + span && !isOver
    }
}
