import Perdure
import PerdureHistory

// The events of steps, undos and the approvals that belong to steps.
extension RunMachine {
    /// The step or undo that an event speaks of, with its recorded input compared to what the code asks for.
    private mutating func step(of event: Event) throws -> StepOperation {
        guard let id = event.kind.isOfUndo ? undoIDs[event.subject] : stepIDs[event.subject], let step = steps[id],
            step.phase != .requested,
            step.phase != .undoing
        else {
            throw unasked(event)
        }
        if case .inline(let recorded)? = event.input, event.kind != .approvalRequested {
            if recorded != step.request.input, !step.request.accepts(recorded) {
                let difference =
                    Payload(bytes: recorded).firstDifference(from: Payload(bytes: step.request.input)) ?? "the inputs differ"
                throw Divergence(
                    .mismatch, subject: event.subject,
                    message:
                        "Step '\(event.subject)' was recorded with another input (event \(event.seq)): \(difference). \(Divergence.waysOut)"
                )
            }
            steps[id]?.isInputRecorded = true
        }
        return step
    }

    mutating func feedIntent(_ event: Event) throws {
        // Without the code nobody knew of steps that had left no trace: the undos of a reset did not wait for them.
        if rewinding != nil, event.kind == .undoStarted, undoIDs[event.subject] == nil { beginUndo(of: event.subject) }
        let step = try step(of: event), id = step.id
        let attributes = try event.attributes.object()
        try move(id, to: .intended, by: event)
        // A step that was sent before under another intent, or under none, stays possibly dispatched. An at-most-once step is only
        // intended again when its last attempt surely did nothing.
        let wasPerhapsSent = !step.isAtMostOnce && (step.hasIntent || !step.needsIntent || step.failedAttempts > 0)
        if step.isAtMostOnce { steps[id]?.mayHaveRun = false }
        steps[id]?.isSurelyUnsent = step.isCancelled && !wasPerhapsSent
        steps[id]?.isIntentUnsent = true
        steps[id]?.intendedAt = event.at
        steps[id]?.replacedIntents = attributes["replaces_unsent"]?.boolValue == true ? step.replacedIntents + 1 : 0
        if !step.hasIntent, step.needsIntent, step.failedAttempts == 0, !step.mayHaveBeenLost {
            steps[id]?.windowStart = event.at
        }
        steps[id]?.hasIntent = true
        steps[id]?.isAttemptIntended = true
        steps[id]?.isInputRecorded = true
        steps[id]?.releasedBuild = attributes["build"]?.stringValue ?? recordedBuild
        steps[id]?.needsFreshIntent = false
        steps[id]?.keyGeneration = Int(attributes["generation"]?.integerValue ?? 0)
        steps[id]?.deadline = attributes.timestamp("deadline")
        steps[id]?.quietAfter = attributes.timestamp("quiet_after")
        enqueue(id)
    }

    mutating func feedAttemptFailed(_ event: Event) throws {
        let step = try step(of: event), id = step.id
        guard step.phase != .inDoubt, step.phase != .probing else { throw unasked(event) }
        let attributes = try event.attributes.object()
        let isDefinite = attributes["definite"]?.boolValue ?? false
        let failure = failure(event, attributes), next = attributes.timestamp("next_at")
        try move(id, to: next == nil ? .deadLetter : .backingOff, by: event)
        steps[id]?.due = next
        steps[id]?.failedAttempts += 1
        steps[id]?.lastFailure = failure
        steps[id]?.mayHaveRun = !isDefinite || step.earlierMayHaveRun
        steps[id]?.isAttemptIntended = false
        steps[id]?.isIntentUnsent = false
        steps[id]?.releasedBuild = recordedBuild
        let policy = step.request.policy
        steps[id]?.quietAfter =
            isDefinite && !step.earlierMayHaveRun ? nil : step.quietAfter ?? event.at + policy.attemptTimeout + policy.grace
        if !isDefinite { steps[id]?.earlierMayHaveRun = true }
        if isDefinite, !step.earlierMayHaveRun { steps[id]?.windowStart = event.at }
        enqueue(id)
    }

    /// The step happened: `step.succeeded`, or resolved as happened.
    mutating func feedHappened(_ event: Event, output: StoredValue?) throws {
        let step = try step(of: event)
        let bytes = try event.bytes(of: output, named: "output")
        if step.family == .undo {
            undoneSpans.append(
                UndoneSpan(subject: event.subject, completedAt: step.undoneSince, undoneAt: event.seq))
            undoIsOver(step)
            return
        }
        // Only a step with a business key can have been done by another run; the others are spared the parsing.
        let isAdopted = try step.request.businessKey != nil && event.attributes.object().has("adopted_from")
        let undo = isAdopted ? nil : step.request.undo
        if step.isCancelled, rewinding == nil {
            if let undo {
                try startUndo(of: step, undo, output: bytes, then: .cancelled, by: event)
            } else {
                end(step.id, with: .cancelled)
            }
            return
        }
        if let undo {
            completed.append(
                CompletedStep(
                    id: step.id, request: step.request, undo: undo, output: bytes, keyGeneration: step.keyGeneration,
                    completedAt: event.seq))
        }
        let isWrong = isReplaying && Mutant.isOn("replay a wrong result")
        end(step.id, with: .value(isWrong ? step.request.input : bytes))
    }

    mutating func feedFailed(_ event: Event) throws {
        let step = try step(of: event)
        let failure = failure(event, try event.attributes.object())
        if step.family == .undo {
            try move(step.id, to: .deadLetter, by: event)
            steps[step.id]?.failedAttempts += 1
            steps[step.id]?.lastFailure = failure
            steps[step.id]?.mayHaveRun = false
            steps[step.id]?.quietAfter = nil
            enqueue(step.id)
            return
        }
        end(step.id, with: step.isCancelled ? .cancelled : .failure(failure))
    }

    mutating func feedStepCancelled(_ event: Event) throws {
        let step = try step(of: event)
        if try event.attributes.object()["terminated"]?.boolValue == true {
            // The code is not told: it never runs again.
            end(step.id, with: nil)
            return
        }
        guard step.isCancelled else { throw unasked(event) }
        end(step.id, with: .cancelled)
    }

    mutating func feedInDoubt(_ event: Event) throws {
        let step = try step(of: event)
        // Nothing of a dead letter is unknown, unless somebody has had it tried again in a part that is lost.
        if step.phase == .deadLetter, !step.mayHaveBeenLost { throw unasked(event) }
        let attributes = try event.attributes.object()
        let reason = attributes["reason"]?.stringValue.flatMap(DoubtReason.init) ?? .interrupted
        if attributes["attempt_failed"]?.boolValue == true {
            let failure = failure(event, attributes)
            steps[step.id]?.failedAttempts += 1
            steps[step.id]?.lastFailure = failure
            steps[step.id]?.earlierMayHaveRun = true
        }
        if step.phase != .inDoubt { try move(step.id, to: .inDoubt, by: event) }
        steps[step.id]?.mayHaveRun = true
        if let quiet = attributes.timestamp("quiet_after") { steps[step.id]?.quietAfter = quiet }
        let probeIsDone = reason == .partly || reason == .probeFailed || reason == .unrecordable
        let cause = step.phase == .inDoubt || step.phase == .probing ? step.doubt?.cause ?? reason : reason
        steps[step.id]?.doubt = .init(
            reason: reason, cause: cause, needsPerson: probeIsDone || !step.request.hasProbe,
            probeTries: Int(attributes["probe_tries"]?.integerValue ?? 0), probeAt: attributes.timestamp("probe_at"))
        enqueue(step.id)
    }

    mutating func feedResolved(_ event: Event) throws {
        let step = try step(of: event)
        guard [.inDoubt, .probing, .deadLetter].contains(step.phase) else { throw unasked(event) }
        // The probe that found it out is over; one that was overtaken by a person is not.
        if step.phase == .probing, !probeSettles(event) {
            strayProbes.insert(step.id)
            overtakenProbes.append(step.id)
        }
        let attributes = try event.attributes.object()
        heed(attributes)
        switch attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init) {
        case .happened:
            try feedHappened(event, output: event.output)
        case .didNotHappen:
            try feedDidNotHappen(event, attributes, step)
        case .abort:
            let failure = StepFailure(
                code: StepFailure.aborted,
                message: "a person decided that '\(event.subject)' did not happen and that the run ends",
                attempts: step.failedAttempts)
            if step.family == .undo {
                undoIsOver(step)
            } else {
                end(step.id, with: step.isCancelled ? .cancelled : .failure(failure))
            }
            verdict = verdict ?? failure
            rootShouldCancel = true
            giveUpSuccession()
        case .undo:
            let failure = StepFailure(
                code: StepFailure.undone, message: "a person decided to undo '\(event.subject)'", attempts: step.failedAttempts)
            let answer = step.isCancelled ? Answer.cancelled : .failure(failure)
            if step.family == .step, let undo = step.request.undo {
                try startUndo(of: step, undo, output: try event.bytes(of: event.output, named: "output"), then: answer, by: event)
            } else {
                end(step.id, with: answer)
            }
        case nil:
            throw Divergence(.unreadable, subject: event.subject, message: "Event \(event.seq) has no known resolution.")
        }
    }

    private mutating func feedDidNotHappen(_ event: Event, _ attributes: JSONObject, _ step: StepOperation) throws {
        let id = step.id
        if step.isCancelled {
            end(id, with: .cancelled)
            return
        }
        if attributes["next"]?.stringValue == "failure" {
            let last = step.lastFailure
            let failure = StepFailure(
                code: last?.code ?? StepFailure.stepFailed, typeName: last?.typeName ?? "", message: last?.message ?? "",
                attempts: step.failedAttempts, isDefinite: true, payload: last?.payload)
            end(id, with: .failure(failure))
            return
        }
        if attributes["next"]?.stringValue == "dead_letter" {
            try move(id, to: .deadLetter, by: event)
        } else if let next = attributes.timestamp("next_at") {
            try move(id, to: .backingOff, by: event)
            steps[id]?.due = next
        } else {
            try move(id, to: .released, by: event)
            if !probeSettles(event) { steps[id]?.forgivenAttempts = step.failedAttempts }
        }
        steps[id]?.mayHaveRun = false
        steps[id]?.mayHaveBeenLost = false
        steps[id]?.isAttemptIntended = false
        steps[id]?.doubt = nil
        steps[id]?.earlierMayHaveRun = false
        steps[id]?.windowStart = event.at
        steps[id]?.quietAfter = nil
        enqueue(id)
    }

    private func probeSettles(_ event: Event) -> Bool {
        (try? event.attributes.object())?["by"].flatMap(Principal.init) == Self.probe
    }

    // MARK: Approvals

    mutating func feedApproval(_ event: Event) throws {
        let step = try step(of: event), id = step.id
        let attributes = try event.attributes.object()
        switch (event.kind, step.phase) {
        case (.approvalCancelled, .abandoned), (.approvalExpired, .abandoned), (.approvalVoided, .abandoned):
            end(id, with: nil)
        case (.approvalDecided, .abandoned):
            // A denial ends it; an approval that nobody will use is still to be cancelled.
            if attributes["approved"]?.boolValue == true { enqueue(id) } else { end(id, with: nil) }
        case (.approvalConsumed, .abandoned):
            steps[id]?.isApprovalConsumed = true
        case (.approvalRequested, .released):
            guard let approval = step.request.approval else { throw unasked(event) }
            let view = ApprovalView(of: step.request, in: identity)
            // The source of a fork was asked about its own call, which is not this one's.
            guard try isCopy(event.seq) || view.fits(event.inputBytes(), accepting: step.request.accepts) else {
                throw Divergence(
                    .mismatch, subject: event.subject,
                    message:
                        "The approval of '\(event.subject)' was asked for another call than the code makes now (event \(event.seq)). "
                        + Divergence.waysOut)
            }
            let expires = attributes.timestamp("expires_at") ?? event.at + approval.within
            if step.isCancelled {
                abandon(id)
                return
            }
            move(id, to: .awaitingApproval)
            steps[id]?.approvalDigest = attributes["view_digest"]?.stringValue ?? ""
            steps[id]?.due = expires
            wake(id, at: expires)
        case (.approvalDecided, .awaitingApproval):
            if attributes["approved"]?.boolValue == true {
                move(id, to: .approved)
                enqueue(id)
            } else {
                let reason = attributes["reason"]?.stringValue.map { ": \($0)" } ?? ""
                let message = "the approval of '\(event.subject)' was denied\(reason)"
                end(id, with: .failure(StepFailure(code: StepFailure.approvalDenied, message: message)))
            }
        case (.approvalExpired, .awaitingApproval):
            let message = "nobody decided on '\(event.subject)' in time, which counts as a denial"
            end(id, with: .failure(StepFailure(code: StepFailure.expired, message: message)))
        case (.approvalVoided, .awaitingApproval), (.approvalVoided, .approved), (.approvalVoided, .awaitingKey):
            let message = "the approval of '\(event.subject)' was voided, which counts as a denial"
            end(id, with: .failure(StepFailure(code: StepFailure.approvalDenied, message: message)))
        case (.approvalConsumed, .approved):
            steps[id]?.isApprovalConsumed = true
        default:
            throw unasked(event)
        }
    }

    func failure(_ event: Event, _ attributes: JSONObject) -> StepFailure { StepFailure(event, attributes) }
}
