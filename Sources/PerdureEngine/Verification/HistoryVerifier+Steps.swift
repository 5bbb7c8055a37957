import Perdure
import PerdureHistory

/// One step or undo as the verifier has followed it so far.
struct VerifiedStep {
    enum Approval: Hashable { case requested(String), approved, refused, consumed }

    let subject: String
    var effect = ""
    var lastSeq: Int64 = 0
    /// An intent whose attempt has no outcome yet.
    var hasOpenIntent = false
    /// The owner has changed since the intent.
    var ownerChanged = false
    var isInDoubt = false
    /// A failed attempt did not say whether it had the effect, and nothing has cleared that up.
    var hasDoubtfulFailure = false
    var mayIntend = true
    var isOver = false
    var happened: HistoryVerifier.Completion?
    /// A person had it undone: that undo stands alone.
    var isUndoneByPerson = false
    var approval: Approval?
    /// The idempotency key of its last intent, and the one under which it happened before a reset.
    var key: String?
    var keyBeforeReset: String?
    /// The last event of the step itself, not of its approval.
    var lastStepSeq: Int64 = 0
    /// The highest generation under which it was begun, and the one that it has to go beyond after a reset.
    var generation = 0
    var generationBeforeReset: Int?

    /// How often a part of the history had been lost when it was said last that nothing had happened.
    var lossesAccountedFor = 0

    var isAtMostOnce: Bool { effect == EffectKind.atMostOnce.name }
    var isUnsettled: Bool { !isOver && (hasOpenIntent || isInDoubt) && effect != EffectKind.read.name }
}

// The rules of steps, undos and approvals.
extension HistoryVerifier {
    mutating func ownerChanged() {
        for subject in steps.keys where steps[subject]?.hasOpenIntent == true { steps[subject]?.ownerChanged = true }
        for subject in undos.keys where undos[subject]?.hasOpenIntent == true { undos[subject]?.ownerChanged = true }
    }

    /// What was under way may have gone on, and what was asked may have been decided on.
    mutating func historyWasLost(_ event: Event) {
        losses += 1
        lossMark = event.seq
        ownerChanged()
        for (subject, step) in steps where step.approval != nil && step.approval != .consumed && !step.isOver {
            steps[subject]?.approval = nil
        }
    }

    /// Whether a person's word was said when the last loss was known.
    func namesLastMark(_ attributes: JSONObject) -> Bool { attributes["mark"]?.integerValue == lossMark }

    /// A probe looks when it is asked; a person's word may be older than what happened in a part that is lost.
    private mutating func checkDenial(_ event: Event, _ attributes: JSONObject, _ step: VerifiedStep) -> Bool {
        if attributes["by"].flatMap(Principal.init) == RunMachine.probe || namesLastMark(attributes) { return true }
        wrong(
            event, .effectForgotten,
            "'\(step.subject)' is said not to have happened by somebody who did not know yet that history was lost "
                + "(event \(lossMark ?? 0)).")
        return false
    }

    mutating func checkStep(_ event: Event, _ attributes: JSONObject) {
        let name = event.kind.rawValue
        let isUndo = name.hasPrefix("undo.")
        guard isUndo || name.hasPrefix("step.") || name.hasPrefix("approval.") else { return }
        var step = (isUndo ? undos : steps)[event.subject] ?? VerifiedStep(subject: event.subject)
        if let effect = attributes["effect"]?.stringValue { step.effect = effect }
        step.lastSeq = event.seq
        if event.kind.rawValue.hasPrefix("step.") { checkGeneration(event, attributes, &step) }
        switch event.kind {
        case .stepIntended, .undoStarted: checkIntent(event, attributes, &step, isUndo: isUndo)
        case .stepAttemptFailed, .undoAttemptFailed, .undoFailed: checkFailedAttempt(event, attributes, &step)
        case .stepSucceeded, .undoSucceeded, .stepFailed, .stepCancelled: checkOutcome(event, attributes, &step)
        case .stepInDoubt, .undoInDoubt: checkDoubt(event, attributes, &step)
        case .stepResolved, .undoResolved: checkResolution(event, attributes, &step)
        default: checkApproval(event, attributes, &step)
        }
        if isUndo { undos[event.subject] = step } else { steps[event.subject] = step }
    }

    private mutating func checkIntent(
        _ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep, isUndo: Bool
    ) {
        let replacesUnsent = attributes["replaces_unsent"]?.boolValue == true && step.hasOpenIntent && !step.ownerChanged
        if step.isOver {
            wrong(event, .outcomeRepeated, "'\(step.subject)' is intended again although it is over.")
        } else if step.isAtMostOnce, !step.mayIntend, !replacesUnsent {
            wrong(
                event, .intentRepeated,
                "'\(step.subject)' must happen at most once and is intended again, although the attempt before neither failed definitely "
                    + "nor was resolved as not having happened.")
        }
        checkReleased(event, step)
        if isUndo { checkUndoStart(event, step) } else { checkKey(event, attributes, &step) }
        step.hasOpenIntent = true
        // What may have been sent in a part that is lost has to be put in doubt, not to be sent.
        step.ownerChanged = step.isAtMostOnce && max(step.lossesAccountedFor, settledLosses) < losses
        step.isInDoubt = false
        step.mayIntend = false
    }

    private mutating func checkFailedAttempt(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        checkSent(event, step)
        let isDefinite = attributes["definite"]?.boolValue ?? false
        guard isDefinite else {
            step.hasDoubtfulFailure = true
            return
        }
        step.hasOpenIntent = false
        step.isInDoubt = false
        step.mayIntend = true
    }

    private mutating func checkOutcome(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        if step.isOver { wrong(event, .outcomeRepeated, "'\(step.subject)' gets a second outcome: it was over before.") }
        let wasNeverSent =
            attributes["adopted_from"] != nil || attributes["code"]?.stringValue == StepFailure.keyConflict
            || event.kind == .stepCancelled
        if !wasNeverSent { checkSent(event, step) }
        if event.kind == .stepCancelled, step.hasDoubtfulFailure, step.effect != EffectKind.read.name,
            attributes["definite"]?.boolValue != true
        {
            wrong(
                event, .effectForgotten,
                "'\(step.subject)' is cancelled although an attempt failed without saying whether it had its effect.")
        }
        if event.kind == .stepSucceeded || event.kind == .undoSucceeded {
            // What another run did is not this one's to undo.
            if attributes["adopted_from"] == nil { step.happened = Completion(seq: event.seq, at: event.at) }
        }
        end(&step)
    }

    private mutating func checkDoubt(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        if step.isOver { wrong(event, .outcomeRepeated, "'\(step.subject)' is in doubt although it is over.") }
        // An undo that the end of the run cuts off is one for a person, whatever came of its attempts.
        let isCutOff = event.kind == .undoInDoubt && attributes["reason"]?.stringValue == DoubtReason.terminated.rawValue
        if step.isAtMostOnce, !step.hasOpenIntent, !step.isInDoubt, !isCutOff, losses == 0 {
            wrong(
                event, .intentBeforeDispatch,
                "'\(step.subject)' must happen at most once and is in doubt without having been intended.")
        }
        step.isInDoubt = true
        step.ownerChanged = false
    }

    private mutating func checkResolution(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        if step.isOver { wrong(event, .outcomeRepeated, "'\(step.subject)' is resolved although it is over.") }
        switch attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init) {
        case .didNotHappen:
            if checkDenial(event, attributes, step) { step.lossesAccountedFor = losses }
            step.hasOpenIntent = false
            step.isInDoubt = false
            step.hasDoubtfulFailure = false
            step.ownerChanged = false
            step.mayIntend = true
            return
        case .happened: step.happened = Completion(seq: event.seq, at: event.at)
        case .undo:
            step.happened = Completion(seq: event.seq, at: event.at)
            step.isUndoneByPerson = true
        case .abort: _ = checkDenial(event, attributes, step)
        case nil: wrong(event, .readable, "Its resolution is none that is known.")
        }
        end(&step)
    }

    private func end(_ step: inout VerifiedStep) {
        step.isOver = true
        step.hasOpenIntent = false
        step.isInDoubt = false
    }

    /// Something came back, so it was sent: was it released for that?
    private mutating func checkSent(_ event: Event, _ step: VerifiedStep) {
        checkReleased(event, step)
        guard step.isAtMostOnce else { return }
        if !step.hasOpenIntent {
            wrong(
                event, .intentBeforeDispatch,
                "'\(step.subject)' must happen at most once and was sent without an intent before it.")
        } else if step.ownerChanged {
            wrong(
                event, .resumedBlindly,
                "'\(step.subject)' must happen at most once and was under way when the run changed its owner; it was not put in doubt."
            )
        }
    }

    // MARK: Approvals

    private mutating func checkReleased(_ event: Event, _ step: VerifiedStep) {
        guard let approval = step.approval, approval != .consumed else { return }
        wrong(event, .approval, "'\(step.subject)' is released although its approval was not consumed.")
    }

    private mutating func checkApproval(_ event: Event, _ attributes: JSONObject, _ step: inout VerifiedStep) {
        switch event.kind {
        case .approvalRequested:
            let digest = attributes["view_digest"]?.stringValue ?? ""
            if case .inline(let view)? = event.input, SaltedDigest.hex(salt: salt, canonicalBytes: view) != digest {
                wrong(event, .approval, "The digest of the approval of '\(step.subject)' is not that of the view that was shown.")
            }
            step.approval = .requested(digest)
        case .approvalDecided:
            guard case .requested(let digest)? = step.approval else {
                return wrong(event, .approval, "'\(step.subject)' is decided on, but no request is open.")
            }
            let isApproved = attributes["approved"]?.boolValue == true
            if attributes["view_digest"]?.stringValue != digest {
                wrong(event, .approval, "The decision on '\(step.subject)' names another view than the one that was shown.")
            }
            step.approval = isApproved ? .approved : .refused
        case .approvalConsumed:
            if step.approval == .consumed {
                wrong(event, .approval, "The approval of '\(step.subject)' is consumed a second time.")
            } else if step.approval != .approved {
                wrong(event, .approval, "The approval of '\(step.subject)' is consumed without an approving decision.")
            }
            step.approval = .consumed
        case .approvalExpired, .approvalCancelled, .approvalVoided: step.approval = .refused
        default: break
        }
    }

    // MARK: Undo

    private mutating func checkUndoStart(_ event: Event, _ undo: VerifiedStep) {
        guard let completed = steps[undo.subject]?.happened ?? children[undo.subject]?.happened else {
            return wrong(event, .undoOrder, "'\(undo.subject)' is undone, but its effect never happened.")
        }
        if completed.seq <= copiedUntil, event.seq > copiedUntil {
            return wrong(event, .undoOrder, "'\(undo.subject)' is undone, but was done by the run that this one was forked from.")
        }
        guard !completed.isAdopted, !undoStarts.contains(where: { $0.subject == undo.subject }) else { return }
        undoStarts.append((undo.subject, completed, Completion(seq: event.seq, at: event.at)))
    }

    /// Of two steps that one unwinding has to undo, the one completed later is undone first.
    ///
    /// A history does not name unwindings, so this judges only pairs that share one for certain: both had completed when the older
    /// one's undo started, and every scope that holds the older one holds the other. The undo of a single step that was no longer
    /// wanted follows its completion at once and stands outside this order.
    mutating func checkUndoOrder() {
        for (index, older) in undoStarts.enumerated() {
            guard steps[older.subject]?.isUndoneByPerson != true else { continue }
            for newer in undoStarts[(index + 1)...] {
                guard newer.completedAt.seq > older.completedAt.seq, newer.completedAt.seq < older.startedAt.seq,
                    Self.scope(of: newer.subject).isInside(Self.scope(of: older.subject)),
                    newer.completedAt.at != older.completedAt.at, newer.completedAt.at != older.startedAt.at
                else { continue }
                wrong(
                    older.startedAt.seq, .undoOrder,
                    "'\(older.subject)' is undone before '\(newer.subject)', which completed after it.")
                return
            }
        }
    }

    private static func scope(of subject: String) -> String {
        let scalars = subject.unicodeScalars
        return scalars.lastIndex(of: "/").map { String(scalars[..<$0]) } ?? ""
    }
}
