/// What is done to a workflow at one of its checkpoints.
public enum Interruption: String, Sendable, Codable, CaseIterable, Hashable {
    /// The process dies before anything of the commit is on disk.
    case crashBeforeCommit = "crash_before_commit"
    /// It dies in the middle of a commit that several runs share: of some of them it is on disk, of the others not.
    case tornCommit = "torn_commit"
    /// It dies when the commit is on disk, before anybody was told.
    case crashAfterCommit = "crash_after_commit"
    /// The commit is on disk, but the store's answer is lost.
    case lostAcknowledgement = "lost_acknowledgement"
    /// Every message and decision of the script arrives twice.
    case duplicateDelivery = "duplicate_delivery"
    /// The process dies when a body is about to begin.
    case crashBeforeDispatch = "crash_before_dispatch"
    /// The process dies after a body has done its work, before its outcome is recorded.
    case crashAfterEffect = "crash_after_effect"
    /// It dies after the commit, and the run is cancelled before it comes back.
    case cancelledWhileDown = "cancelled_while_down"
    /// It dies after the commit, and the next message of the script arrives before it comes back.
    case messageWhileDown = "message_while_down"
    /// It dies after the commit, and its successor dies while it replays the history.
    case crashDuringReplay = "crash_during_replay"
    /// It dies before the commit, and its successor before its own first one.
    case crashTwice = "crash_twice"
    /// The process stands still for longer than its lease; another node takes the run over; then it goes on.
    case lostLease = "lost_lease"
    /// The run is cancelled, and the process dies before a commit of the unwinding.
    case crashBeforeUndo = "crash_before_commit_of_unwinding"
    /// The run is cancelled, and the process dies after a commit of the unwinding.
    case crashAfterUndo = "crash_after_commit_of_unwinding"
    /// The run is thrown out of memory whenever it waits.
    case eviction

    /// Whether the run goes on afterwards as if nothing had happened, so that it has to end the same.
    var leavesNoTrace: Bool {
        switch self {
        case .cancelledWhileDown, .messageWhileDown, .lostLease: false
        default: true
        }
    }

    /// What it is done at.
    enum Place: Sendable { case commit, dispatch, whole, unwinding }

    var place: Place {
        switch self {
        case .crashBeforeCommit, .tornCommit, .crashAfterCommit, .lostAcknowledgement, .cancelledWhileDown, .messageWhileDown,
            .crashDuringReplay, .crashTwice, .lostLease:
            .commit
        case .crashBeforeDispatch, .crashAfterEffect: .dispatch
        case .crashBeforeUndo, .crashAfterUndo: .unwinding
        case .eviction, .duplicateDelivery: .whole
        }
    }

    /// As a part of a sentence about what happened.
    var sentence: String {
        switch self {
        case .crashBeforeCommit: "the process died before this was on disk"
        case .tornCommit: "the process died while this was being written"
        case .crashAfterCommit: "the process died when this was on disk"
        case .lostAcknowledgement: "the answer of the store was lost"
        case .duplicateDelivery: "every message arrived twice"
        case .crashBeforeDispatch: "the process died before the body began"
        case .crashAfterEffect: "the process died after the body had done its work"
        case .cancelledWhileDown: "the process died, and the run was cancelled meanwhile"
        case .messageWhileDown: "the process died, and a message arrived meanwhile"
        case .crashDuringReplay: "the process died, and so did the next one while it replayed"
        case .crashTwice: "the process died, and so did the next one"
        case .lostLease: "the process stood still, and another node took the run over"
        case .crashBeforeUndo: "the run was being unwound and the process died before this was on disk"
        case .crashAfterUndo: "the run was being unwound and the process died when this was on disk"
        case .eviction: "the run was thrown out of memory whenever it waited"
        }
    }
}
