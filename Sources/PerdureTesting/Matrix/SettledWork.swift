import Perdure
import PerdureHistory

/// Work whose outcome is on disk, so that its body must not begin again.
struct SettledWork: Sendable {
    private struct Work: Hashable {
        let run: RunID
        let subject: String
        let isUndo: Bool
    }

    private var works: Set<Work> = []

    func contains(_ subject: String, isUndo: Bool, in run: RunID) -> Bool {
        works.contains(Work(run: run, subject: subject, isUndo: isUndo))
    }

    /// Takes in what is on disk from now on.
    mutating func note(_ kind: EventKind, _ subject: String, in run: RunID) {
        switch kind {
        case .stepSucceeded, .stepFailed, .stepCancelled: works.insert(Work(run: run, subject: subject, isUndo: false))
        case .undoSucceeded: works.insert(Work(run: run, subject: subject, isUndo: true))
        // What is done anew after a person's word is settled anew, and after a reset everything may be.
        case .stepResolved: for isUndo in [false, true] { works.remove(Work(run: run, subject: subject, isUndo: isUndo)) }
        case .runReset: works = works.filter { $0.run != run }
        default: break
        }
    }
}
