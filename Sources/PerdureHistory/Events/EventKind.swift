/// What kind of fact an event records. The raw names are stored and hashed for ever: extend, never rename, never reuse.
package enum EventKind: String, CaseIterable, Hashable, Sendable {
    case runStarted = "run.started"
    case runResumed = "run.resumed"
    case runBlocked = "run.blocked"
    case runUnblocked = "run.unblocked"
    case runParked = "run.parked"
    case runUnparked = "run.unparked"
    case runPaused = "run.paused"
    case runUnpaused = "run.unpaused"
    case runRepinned = "run.repinned"
    case runForked = "run.forked"
    case runRestored = "run.restored"
    case runLossSettled = "run.loss_settled"
    case runCancelRequested = "run.cancel_requested"
    case runCompleted = "run.completed"
    case runFailed = "run.failed"
    case runCancelled = "run.cancelled"
    case runTerminated = "run.terminated"
    case runContinued = "run.continued"
    case runReset = "run.reset"
    case runExpired = "run.expired"
    case runSealed = "run.sealed"

    case stepIntended = "step.intended"
    case stepAttemptFailed = "step.attempt_failed"
    case stepSucceeded = "step.succeeded"
    case stepFailed = "step.failed"
    case stepCancelled = "step.cancelled"
    case stepInDoubt = "step.in_doubt"
    case stepResolved = "step.resolved"

    case timerStarted = "timer.started"
    case timerFired = "timer.fired"
    case timerCancelled = "timer.cancelled"

    case signalReceived = "signal.received"
    case signalUndelivered = "signal.undelivered"

    case approvalRequested = "approval.requested"
    case approvalDecided = "approval.decided"
    case approvalExpired = "approval.expired"
    case approvalConsumed = "approval.consumed"
    case approvalCancelled = "approval.cancelled"
    case approvalVoided = "approval.voided"
    case approvalEscalated = "approval.escalated"

    case questionAsked = "question.asked"
    case questionAnswered = "question.answered"
    case questionExpired = "question.expired"
    case questionCancelled = "question.cancelled"

    case childStarted = "child.started"
    case childCancelRequested = "child.cancel_requested"
    case childCompleted = "child.completed"
    case childFailed = "child.failed"
    case childCancelled = "child.cancelled"

    case undoStarted = "undo.started"
    case undoAttemptFailed = "undo.attempt_failed"
    case undoSucceeded = "undo.succeeded"
    case undoFailed = "undo.failed"
    case undoInDoubt = "undo.in_doubt"
    case undoResolved = "undo.resolved"

    case updateReceived = "update.received"
    case updateCompleted = "update.completed"
    case updateRejected = "update.rejected"

    case versionPatched = "version.patched"
    case statusReported = "status.reported"
    case labelsChanged = "labels.changed"
    case operatorAction = "operator.action"
}

extension EventKind {
    /// Whether this event closes its run.
    package var isFinal: Bool {
        switch self {
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: true
        default: false
        }
    }

    /// Whether it belongs to an undo, whose subject may be that of a step.
    package var isOfUndo: Bool {
        switch self {
        case .undoStarted, .undoAttemptFailed, .undoSucceeded, .undoFailed, .undoInDoubt, .undoResolved: true
        default: false
        }
    }

    /// Whether somebody outside waits for it.
    package var isReply: Bool { self == .updateCompleted || self == .updateRejected }

    /// Whether stores find the latest event of this kind, for each subject, without reading the history.
    package var isMarked: Bool {
        switch self {
        case .statusReported, .versionPatched, .updateCompleted, .updateRejected: true
        default: false
        }
    }

    /// Whether only the latest event of this kind is found so, whatever its subject.
    package var isMarkedOnce: Bool { self == .statusReported }

    /// Whether this event may stand after the one that closed its run.
    package var mayFollowFinal: Bool {
        switch self {
        case .stepResolved, .undoResolved, .operatorAction, .runReset, .runExpired, .runSealed: true
        default: false
        }
    }
}
