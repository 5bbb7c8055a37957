import PerdureHistory
import Testing

@Suite struct EventKindTests {
    /// Stored histories hold these names: this list may grow, nothing in it may change.
    static let names = """
        run.started run.resumed run.blocked run.unblocked run.parked run.unparked run.paused run.unpaused run.repinned
        run.forked run.restored run.loss_settled run.cancel_requested run.completed run.failed run.cancelled run.terminated
        run.continued run.reset run.expired run.sealed
        step.intended step.attempt_failed step.succeeded step.failed step.cancelled step.in_doubt step.resolved
        timer.started timer.fired timer.cancelled signal.received signal.undelivered
        approval.requested approval.decided approval.expired approval.consumed approval.cancelled approval.voided
        approval.escalated question.asked question.answered question.expired question.cancelled
        child.started child.cancel_requested child.completed child.failed child.cancelled
        undo.started undo.attempt_failed undo.succeeded undo.failed undo.in_doubt undo.resolved
        update.received update.completed update.rejected
        version.patched status.reported labels.changed operator.action
        """

    @Test("the kinds have exactly the names that stored histories hold")
    func rawNames() {
        #expect(EventKind.allCases.map(\.rawValue) == Self.names.split(whereSeparator: \.isWhitespace).map(String.init))
    }

    @Test("five kinds close a run, and six others may follow")
    func final() {
        #expect(
            EventKind.allCases.filter(\.isFinal)
                == [.runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued])
        #expect(
            Set(EventKind.allCases.filter(\.mayFollowFinal))
                == [.stepResolved, .undoResolved, .operatorAction, .runReset, .runExpired, .runSealed])
    }
}
