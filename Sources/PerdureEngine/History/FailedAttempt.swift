import Perdure
package import PerdureHistory

/// How an attempt failed that an event tells of.
package enum FailedAttempt: Sendable, Hashable {
    /// Its body threw, or did not come to its end in time.
    case ofStep
    /// The engine could not make or record it.
    case ofEngine
}

extension FailedAttempt {
    /// What stands in the place of an error's type where the engine is the cause. No type of an author has this name.
    static let engineType = "perdure"
}

extension Event {
    /// An attempt of a step or undo that failed, whatever followed; nil if the event tells of none.
    package var failedAttempt: FailedAttempt? {
        switch kind {
        case .stepAttemptFailed, .undoAttemptFailed, .undoFailed: break
        // A step whose key is held with another input failed without an attempt.
        case .stepFailed: if attribute("code")?.stringValue == StepFailure.keyConflict { return nil }
        // The end of its last attempt told that nothing happened, and nobody wants it any more.
        case .stepCancelled: if attribute("definite") == nil { return nil }
        // Said again only because a probe does not know yet, it tells nothing new.
        case .stepInDoubt, .undoInDoubt:
            if attribute("attempt_failed") == nil || attribute("probe_tries") != nil { return nil }
        default: return nil
        }
        return attribute("type")?.stringValue == FailedAttempt.engineType ? .ofEngine : .ofStep
    }

    package func attribute(_ name: String) -> JSONValue? { (try? attributes.object())?[name] }
}
