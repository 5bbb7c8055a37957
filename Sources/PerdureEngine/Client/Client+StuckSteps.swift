public import Foundation
public import Perdure
import PerdureHistory
import PerdureStore

/// A step, or the undo of one, that only a person can move, or a probe that is asked by and by.
public struct StuckStep: Sendable, Hashable {
    /// Why it does not go on.
    public enum Reason: Sendable, Hashable {
        /// It may have happened, and nobody knows. What put it in doubt: `interrupted`, `no_answer`, `lost` …, as history records it.
        case inDoubt(cause: String)
        /// It surely did not happen, and its attempts are used up.
        case deadLetter
    }

    /// The step as history names it, which is what `resolve` and `retry` take.
    public let step: String
    /// Whether it is the undo that is stuck.
    public let isUndo: Bool
    /// Why it does not go on.
    public let reason: Reason
    /// What repeating it would do: `idempotent`, `at_most_once` or `read`.
    public let effect: String
    /// What the last failed attempt said, or what a probe found.
    public let message: String?
    /// In doubt: until when the other side may still act, so that "it did not happen" is not believed before.
    public let quietUntil: Date?

    init(_ step: RunView.Step) {
        self.step = step.subject
        isUndo = step.isUndo
        reason = step.isInDoubt ? .inDoubt(cause: step.doubtCause ?? step.doubt ?? "") : .deadLetter
        effect = step.effect
        message = step.message
        quietUntil = step.quietAfter?.date
    }
}

extension Client {
    /// The steps and undos of a run that are in doubt or dead letters, in the order in which they began; what `resolve` and `retry` are
    /// for.
    ///
    /// - Throws: `PerdureError` with `run_unknown`, `run_expired` or the store's code.
    public func stuckSteps(of run: RunID) async throws -> [StuckStep] { try await view(of: run).stuckSteps.map(StuckStep.init) }
}
