import Perdure
import PerdureHistory

/// Where a step or an undo stands. `docs/state-machine.md` draws the transitions; a test fails if one is not covered.
package enum StepPhase: UInt8, Sendable, Hashable, CaseIterable {
    /// Asked for by the code; the run has not come to rest since.
    case requested
    /// Outstanding at rest: from here on it counts as possibly dispatched unless this process knows better.
    case released
    /// `approval.requested` is in history.
    case awaitingApproval
    /// An approving `approval.decided` is in history, not consumed.
    case approved
    /// Another run holds the business key.
    case awaitingKey
    /// The intent of the next attempt is in history.
    case intended
    /// This process runs the body.
    case running
    /// An attempt failed; the next one is due later.
    case backingOff
    /// The effect may have happened, and `step.in_doubt` says so.
    case inDoubt
    /// This process runs the probe.
    case probing
    /// The attempts are used up, or an undo cannot go on; a person decides.
    case deadLetter
    /// It happened although it is no longer wanted, and is being undone before its wait ends.
    case undoing
    /// A step whose approval the code no longer waits for: its wait has ended, the event that ends it is still to come.
    case abandoned
    /// Over. The operation is forgotten.
    case ended
}

/// A pair of phases, as the diagram draws it.
package struct StepTransition: Hashable, Sendable, CustomStringConvertible {
    package let from: StepPhase
    package let to: StepPhase

    package init(_ from: StepPhase, _ to: StepPhase) {
        self.from = from
        self.to = to
    }

    package var description: String { "\(from) → \(to)" }

    /// Where it leads. A mutant of it leads nowhere, or astray where it leads back.
    var destination: StepPhase { Mutant.isOn("step: \(self)") ? (from == to ? .abandoned : from) : to }

    /// Whether the step machine has this transition.
    package var isLegal: Bool { Self.table[Int(from.rawValue)] & (1 << UInt16(to.rawValue)) != 0 }

    /// `all`, as one bit for each target phase.
    private static let table: [UInt16] = all.reduce(into: Array(repeating: 0, count: StepPhase.allCases.count)) {
        table, transition in
        table[Int(transition.from.rawValue)] |= 1 << UInt16(transition.to.rawValue)
    }

    /// Every transition that exists. A move outside this list is a bug of the machine.
    package static let all: [StepTransition] = [
        .init(.requested, .released), .init(.requested, .ended),
        .init(.released, .awaitingApproval), .init(.released, .awaitingKey), .init(.released, .intended),
        .init(.released, .running),
        .init(.released, .backingOff), .init(.released, .inDoubt), .init(.released, .deadLetter), .init(.released, .undoing),
        .init(.released, .abandoned), .init(.released, .ended),
        .init(.awaitingApproval, .released), .init(.awaitingApproval, .approved), .init(.awaitingApproval, .abandoned),
        .init(.awaitingApproval, .ended),
        .init(.approved, .released), .init(.approved, .intended), .init(.approved, .awaitingKey), .init(.approved, .abandoned),
        .init(.approved, .ended),
        .init(.awaitingKey, .inDoubt), .init(.awaitingKey, .released), .init(.awaitingKey, .approved),
        .init(.awaitingKey, .abandoned),
        .init(.awaitingKey, .ended),
        .init(.intended, .intended), .init(.intended, .running), .init(.intended, .backingOff), .init(.intended, .inDoubt),
        .init(.intended, .deadLetter), .init(.intended, .undoing), .init(.intended, .ended),
        .init(.running, .backingOff), .init(.running, .inDoubt), .init(.running, .deadLetter), .init(.running, .undoing),
        .init(.running, .ended),
        .init(.backingOff, .intended), .init(.backingOff, .running), .init(.backingOff, .backingOff),
        .init(.backingOff, .inDoubt),
        .init(.backingOff, .deadLetter), .init(.backingOff, .undoing), .init(.backingOff, .ended),
        .init(.inDoubt, .probing), .init(.inDoubt, .released), .init(.inDoubt, .backingOff), .init(.inDoubt, .deadLetter),
        .init(.inDoubt, .undoing), .init(.inDoubt, .ended),
        .init(.probing, .inDoubt), .init(.probing, .released), .init(.probing, .backingOff), .init(.probing, .deadLetter),
        .init(.probing, .undoing), .init(.probing, .ended),
        .init(.deadLetter, .inDoubt), .init(.deadLetter, .released), .init(.deadLetter, .undoing), .init(.deadLetter, .ended),
        .init(.undoing, .ended), .init(.abandoned, .intended), .init(.abandoned, .ended),
    ]
}

/// One step, or one undo, from the moment the code asks until its last event.
struct StepOperation {
    enum Family { case step, undo }

    /// Why a step is in doubt, and who can find out.
    struct Doubt {
        var reason: DoubtReason
        /// What put it in doubt in the first place, before a probe had its say.
        var cause: DoubtReason
        /// The probe has nothing more to say.
        var needsPerson: Bool
        var probeTries = 0
        var probeAt: Timestamp?
    }

    /// Who waits for an undo.
    enum Owner {
        case unwinding(OperationID)
        /// The step that was no longer wanted, and what its wait ends with.
        case step(OperationID, Answer)
        /// The child that was no longer wanted; its wait ends as cancelled.
        case child(OperationID)
    }

    /// What never changes, kept apart: operations are copied often, and this is most of their size.
    private final class Fixed: Sendable {
        let id: OperationID
        let family: Family
        let request: StepRequest
        let source: OperationID
        let undoneOutput: [UInt8]
        let owner: Owner?

        init(
            _ id: OperationID, _ family: Family, _ request: StepRequest, _ source: OperationID, _ undoneOutput: [UInt8],
            _ owner: Owner?
        ) {
            self.id = id
            self.family = family
            self.request = request
            self.source = source
            self.undoneOutput = undoneOutput
            self.owner = owner
        }
    }

    private let fixed: Fixed
    var id: OperationID { fixed.id }
    var family: Family { fixed.family }
    var request: StepRequest { _read { yield fixed.request } }
    /// For an undo: the operation whose closures it uses, and the recorded output it receives.
    var source: OperationID { fixed.source }
    var undoneOutput: [UInt8] { fixed.undoneOutput }
    var owner: Owner? { fixed.owner }

    var phase = StepPhase.requested
    var isCancelled = false
    /// The code has its answer already; the event that ends the step gives no other one.
    var isAnswered = false
    var isQueued = false
    /// The input stands in an event already; later ones need not repeat it.
    var isInputRecorded = false
    /// The effect may have happened without a recorded outcome. Known to this process, or assumed of the one before.
    var mayHaveRun = false
    /// An intent of this step is in history.
    var hasIntent = false
    /// No later event than the intent speaks of an attempt: the next one, or the one in flight, stands in it.
    var isAttemptIntended = false
    /// This process has seen the intent become durable and has sent nothing since.
    var isIntentUnsent = false
    /// How often in a row an intent was replaced because its time ran out before it could be used, and when the last one was drafted.
    var replacedIntents = 0
    var intendedAt = Timestamp.epoch
    /// The code had given the step up before its intent became durable: no process ever sends such an attempt.
    var isSurelyUnsent = false
    /// An attempt before the last one may have had the effect: it failed without saying, or was cut off. A later attempt that surely did
    /// nothing does not clear that up, unless its error is the other side's last word on the key.
    var earlierMayHaveRun = false
    /// It may have been sent in a part of the history that is lost, and nobody has said since that it was not.
    var mayHaveBeenLost = false
    var failedAttempts = 0
    /// Failed attempts that a person's `retry` has forgiven.
    var forgivenAttempts = 0
    /// When the step was released, or the last definite failure while nothing before was in doubt: the start of the retention window.
    var windowStart = Timestamp.epoch
    /// The build under which it was released or intended; empty if several builds may have sent it since.
    var releasedBuild = ""
    /// An intent has to be committed before it is sent again: the code may have changed since the last time.
    var needsFreshIntent = false
    /// When the next attempt or the approval's expiry is due.
    var due: Timestamp?
    /// When the last attempt that may have been sent is over for certain.
    var quietAfter: Timestamp?
    var deadline: Timestamp?
    var approvalDigest = ""
    var isApprovalConsumed = false
    var doubt: Doubt?
    var lastFailure: StepFailure?
    var keyGeneration = 0
    /// For an undo: the event since which what it undoes counts as done.
    var undoneSince: Int64 = 0
    var bodyWasToldToStop = false
    /// An owner before this one may have begun an attempt that no event speaks of, and this one has begun none since.
    var isInherited = false
    /// Its resource has let the next attempt through.
    var isAdmitted = false
    /// It waits in memory for its resource.
    var isQueuedForResource = false
    /// When it may ask its resource again.
    var heldUntil: Timestamp?

    init(
        id: OperationID, family: Family, request: StepRequest, source: OperationID, undoneOutput: [UInt8] = [],
        owner: Owner? = nil
    ) {
        fixed = Fixed(id, family, request, source, undoneOutput, owner)
    }

    var isRead: Bool { request.effect == .read }
    var isAtMostOnce: Bool { request.effect == .atMostOnce }
    /// Its effect and the event that records it are one commit.
    var isTransaction: Bool { request.effect == .transactional }
    /// An error of it always means that nothing happened, and a crash that nothing has to be found out.
    var isNeverInDoubt: Bool { isRead || isTransaction }
    var needsIntent: Bool { request.needsIntent }
    var nextAttempt: Int { failedAttempts + 1 }
    var waitsForPerson: Bool { phase == .deadLetter || (phase == .inDoubt && doubt?.needsPerson == true) }

    /// The event kinds of this family, so that steps and undos share one machine.
    var kinds: StepEventKinds { family == .step ? .step : .undo }

    /// Whether it must not be tried again before somebody has said what became of it. One whose approval may have been used in what is lost
    /// would be asked for anew, and given up as if it had never been sent.
    var needsWord: Bool { isAtMostOnce || (mayHaveBeenLost && request.approval != nil && !isApprovalConsumed) }

    /// Whether it has to be put in doubt before anything else is done about it: what was lost may have sent it, and sending it again, or
    /// asking for an approval of what may have been approved and done, would be wrong.
    var isToBeDoubted: Bool {
        guard mayHaveBeenLost, needsWord else { return false }
        return phase == .released || phase == .awaitingKey || (phase == .backingOff && isAtMostOnce)
    }

    /// Whether an owner before this one may have sent it. One that did not die has left an intent of everything that it sent and did not
    /// see the end of.
    func wasPerhapsSent(by time: Timestamp, isTakeover: Bool) -> Bool {
        if isTransaction { return false }
        return switch phase {
        case .released: isTakeover && !needsIntent
        case .intended: !isSurelyUnsent
        case .backingOff: isTakeover && (due ?? .epoch) <= time && !isAtMostOnce
        default: false
        }
    }

    /// An owner before this one may have sent it, or a part that is lost may have: no event speaks of it yet.
    var mayHaveLeftNoTrace: Bool {
        phase == .released && mayHaveRun && !isRead && (family == .undo ? !hasIntent : !isInputRecorded)
    }

    /// It is to undo something, and no event says that it has begun.
    var isUnbegunUndo: Bool { family == .undo && !hasIntent }

    /// Whether the other side may have forgotten the idempotency key by now.
    func isOutsideWindow(at now: Timestamp) -> Bool {
        guard case .idempotent(let retention) = request.effect, let duration = retention.duration else { return false }
        return now > windowStart + duration
    }
}

/// Why nobody knows whether a step happened.
package enum DoubtReason: String, Sendable, Hashable {
    /// The process ended between the intent and the outcome.
    case interrupted
    /// The last attempt ended without an answer, and another one must not be made blindly.
    case noAnswer = "no_answer"
    /// The error says that trying again cannot help, but not that nothing happened.
    case nonRetryable = "non_retryable"
    case exhausted
    /// The other side may have forgotten the idempotency key.
    case retentionPassed = "retention_passed"
    /// The effect happened, but its result cannot be recorded.
    case unrecordable
    /// The probe found half of it.
    case partly
    /// The probe could not find out.
    case probeFailed = "probe_failed"
    /// The run was terminated.
    case terminated
    /// A part of the history is lost in which it may have been sent.
    case lost
}

/// The names of a family's events.
struct StepEventKinds {
    let intent: EventKind
    let attemptFailed: EventKind
    let succeeded: EventKind
    let failed: EventKind
    let inDoubt: EventKind
    let resolved: EventKind

    static let step = StepEventKinds(
        intent: .stepIntended, attemptFailed: .stepAttemptFailed, succeeded: .stepSucceeded, failed: .stepFailed,
        inDoubt: .stepInDoubt,
        resolved: .stepResolved)
    static let undo = StepEventKinds(
        intent: .undoStarted, attemptFailed: .undoAttemptFailed, succeeded: .undoSucceeded, failed: .undoFailed,
        inDoubt: .undoInDoubt,
        resolved: .undoResolved)
}
