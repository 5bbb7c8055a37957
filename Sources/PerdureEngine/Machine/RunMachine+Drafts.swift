import Foundation
import Perdure
import PerdureHistory
import PerdureStore

// The texts of the events that the machine proposes.
extension RunMachine {
    /// - Parameter replacesUnsent: Whether the intent before was not acted upon: only then may an at-most-once step have two in a row.
    func intent(_ step: StepOperation, now: Timestamp, replacesUnsent: Bool = false) -> EventDraft {
        // Where a commit takes longer than an attempt may, the intent would be written for ever: the next one is given that time as well.
        let isSlow = replacesUnsent && step.replacedIntents > 0
        let allowance = isSlow ? now.duration(since: step.intendedAt) * 2 : .zero
        let deadline = now + step.request.policy.attemptTimeout + allowance
        let attributes = Attributes.make(
            ("attempt", JSONValue(step.nextAttempt)), ("effect", .string(step.request.effect.name)),
            ("key", .string(keySource(of: step).key)),
            ("generation", JSONValue(step.keyGeneration).when(step.keyGeneration != 0)),
            ("business_key", step.request.businessKey.map(JSONValue.string)),
            ("input_digest", .string(SaltedDigest.hex(salt: identity.salt, canonicalBytes: step.request.input))),
            ("deadline", JSONValue(deadline)), ("quiet_after", JSONValue(deadline + step.request.policy.grace)),
            ("probe", JSONValue.bool(step.request.hasProbe).when(step.isAtMostOnce)),
            ("irreversible", step.request.irreversible.map(JSONValue.string)), ("step_type", firstType(of: step)),
            ("build", .string(build)),
            ("replaces_unsent", JSONValue.bool(true).when(replacesUnsent)))
        return draft(step, step.kinds.intent, attributes)
    }

    func approvalRequest(_ step: StepOperation, now: Timestamp) -> EventDraft {
        let view = ApprovalView(of: step.request, in: identity)
        let within = step.request.approval?.within ?? .zero
        let attributes: Attributes = [
            "view_digest": .string(view.digest(salt: identity.salt)), "expires_at": JSONValue(now + within),
            "approver": .string(step.request.approval?.approver.description ?? ""),
        ]
        return EventDraft(.approvalRequested, subject: step.request.subject, attributes: attributes, input: .inline(view.bytes))
    }

    /// - Parameter probe: Where the probe is asked again: how often it did not know so far, and when the next time is.
    func inDoubt(
        _ step: StepOperation, _ reason: DoubtReason, _ failure: AttemptFailure? = nil, details: String? = nil,
        probe: (tries: Int, next: Timestamp)? = nil
    ) -> EventDraft {
        let attributes = Attributes.make(
            ("reason", .string(reason.rawValue)), ("attempt", JSONValue(step.nextAttempt)),
            ("effect", .string(step.request.effect.name)),
            ("attempt_failed", failure.map { _ in .bool(true) }), ("type", failure.map { .string($0.typeName) }),
            ("message", (failure?.message ?? details).map(JSONValue.string)), ("irreversible", firstReason(of: step)),
            ("step_type", firstType(of: step)),
            ("quiet_after", step.quietAfter.map(JSONValue.init)), ("probe_tries", probe.map { JSONValue($0.tries) }),
            ("probe_at", probe.map { JSONValue($0.next) }))
        return draft(step, step.kinds.inDoubt, attributes, output: failure?.payload)
    }

    /// - Parameter failure: How its last attempt ended, if that is what tells that it did not happen.
    func stepCancelled(_ step: StepOperation, after failure: AttemptFailure? = nil, isTerminated: Bool = false) -> EventDraft {
        let attributes = Attributes.make(
            ("effect", .string(step.request.effect.name)), ("attempt", failure.map { _ in JSONValue(step.nextAttempt) }),
            ("definite", failure.map { _ in .bool(true) }), ("type", failure.map { .string($0.typeName) }),
            ("message", failure.map { .string($0.message) }), ("irreversible", firstReason(of: step)),
            ("step_type", firstType(of: step)),
            ("terminated", JSONValue.bool(true).when(isTerminated)))
        return draft(step, .stepCancelled, attributes, output: failure?.payload)
    }

    func succeeded(_ step: StepOperation, _ output: [UInt8]) -> EventDraft {
        let attributes = Attributes.make(
            ("attempt", JSONValue(step.nextAttempt)), ("effect", .string(step.request.effect.name)),
            ("irreversible", firstReason(of: step)), ("step_type", firstType(of: step)),
            ("to_undo", JSONValue.bool(true).when(isToUndo(step))))
        return draft(step, step.kinds.succeeded, attributes, output: output)
    }

    /// The outcome of another run that holds the step's business key.
    func adopted(_ step: StepOperation, _ output: [UInt8], from holder: RunID) -> EventDraft {
        let attributes = Attributes.make(
            ("effect", .string(step.request.effect.name)), ("adopted_from", .string(holder.description)),
            ("irreversible", firstReason(of: step)), ("step_type", firstType(of: step)))
        return draft(step, step.kinds.succeeded, attributes, output: output)
    }

    func attemptFailed(_ step: StepOperation, _ failure: AttemptFailure, isDefinite: Bool, next: Timestamp?) -> EventDraft {
        let attributes = Attributes.make(
            ("attempt", JSONValue(step.nextAttempt)), ("effect", .string(step.request.effect.name)),
            ("definite", .bool(isDefinite)), ("irreversible", firstReason(of: step)), ("step_type", firstType(of: step)),
            ("type", .string(failure.typeName)), ("message", .string(failure.message)), ("next_at", next.map(JSONValue.init)),
            ("exhausted", JSONValue.bool(true).when(next == nil)))
        return draft(step, step.kinds.attemptFailed, attributes, output: failure.payload)
    }

    func failed(_ step: StepOperation, _ failure: AttemptFailure, code: String = StepFailure.stepFailed) -> EventDraft {
        let attributes = Attributes.make(
            ("attempt", JSONValue(step.nextAttempt)), ("effect", .string(step.request.effect.name)), ("definite", true),
            ("code", .string(code)), ("irreversible", firstReason(of: step)), ("step_type", firstType(of: step)),
            ("type", .string(failure.typeName)),
            ("message", .string(failure.message)))
        return draft(step, step.kinds.failed, attributes, output: failure.payload)
    }

    /// Why the step has no undo, for the first event that speaks of it, which also has its input.
    private func firstReason(of step: StepOperation) -> JSONValue? {
        step.isInputRecorded ? nil : step.request.irreversible.map(JSONValue.string)
    }

    /// What type the step is of, for that event as well: whoever undoes it without the code goes by that.
    private func firstType(of step: StepOperation) -> JSONValue? {
        step.isInputRecorded ? nil : step.request.stepType.map(JSONValue.string)
    }

    private func draft(_ step: StepOperation, _ kind: EventKind, _ attributes: Attributes, output: [UInt8]? = nil) -> EventDraft {
        EventDraft(
            kind, subject: step.request.subject, attributes: withGeneration(attributes, of: step),
            input: step.isInputRecorded ? nil : .inline(step.request.input), output: output.map(StoredValue.inline))
    }

    /// After a reset the first event of a step tells under which generation it is done: another reset may pass over this one. An intent
    /// always does.
    private func withGeneration(_ attributes: Attributes, of step: StepOperation) -> Attributes {
        guard step.keyGeneration != 0, !step.isInputRecorded, step.request.businessKey == nil,
            var object = try? attributes.object(), !object.has("generation")
        else { return attributes }
        object["generation"] = JSONValue(step.keyGeneration)
        return Attributes(object)
    }

    /// The business key's outcome, in the commit of the event that settles its step.
    func settleKey(of step: StepOperation, _ end: BusinessKeySettlement.End, into drafts: inout Drafts) {
        guard let key = step.request.businessKey, holdsKey(step) else { return }
        drafts.settles.append(
            BusinessKeySettlement(
                key: BusinessKey(namespace: identity.namespace, step: step.request.name, key: key),
                subject: step.request.subject, end: end))
    }

    /// Whether the step is undone as soon as it is known to have happened.
    func isToUndo(_ step: StepOperation) -> Bool {
        step.family == .step && step.isCancelled && rewinding == nil && step.request.undo != nil
    }

    /// The same when the step, or its undo, turns out to have happened.
    func settleKey(of step: StepOperation, happenedWith output: [UInt8], into drafts: inout Drafts) {
        // It must not be adopted by others in between. The undo settles the key, or the end of the run does.
        if isToUndo(step) { return }
        settleKey(of: step, step.family == .undo ? .free : .happened(output: output), into: &drafts)
    }

    /// Only a step whose intent was committed has taken its key.
    private func holdsKey(_ step: StepOperation) -> Bool { step.family == .undo || step.isInputRecorded }

    func keySource(of step: StepOperation) -> IdempotencyKeySource {
        IdempotencyKeySource(
            namespace: identity.namespace, run: identity.id,
            subject: Mutant.isOn("one key for two steps") ? "" : step.request.subject, step: step.request.name,
            businessKey: step.request.businessKey, generation: step.keyGeneration, isUndo: step.family == .undo)
    }
}

extension EventDraft {
    static func runFailed(_ failure: StepFailure) -> EventDraft {
        let attributes: Attributes = [
            "code": .string(failure.code), "type": .string(failure.typeName), "message": .string(failure.message),
            "definite": .bool(failure.isDefinite), "attempt": JSONValue(failure.attempts),
        ]
        return EventDraft(.runFailed, attributes: attributes, output: failure.payload.map { .inline(Array($0)) })
    }

    /// The run is cancelled because it has taken too long.
    static func deadlinePassed(_ deadline: Timestamp?) -> EventDraft {
        EventDraft(
            .runCancelRequested,
            attributes: .make(("by", JSONValue(Principal(.timer, "deadline"))), ("deadline", deadline.map { JSONValue($0) })))
    }
}

extension StepFailure {
    /// How a run ends that was cancelled because of its deadline.
    static var passedDeadline: StepFailure {
        StepFailure(code: deadlinePassed, message: "the run's deadline passed before it ended")
    }
}
