import Perdure
package import PerdureHistory
package import PerdureStore

/// What has to happen next. Where `drafts` is not empty, nothing is started yet: it becomes durable first.
package struct Plan: Sendable {
    package var drafts = Drafts()
    package var actions: [RunAction] = []
    /// Whether there is something to start as soon as the drafts are durable.
    package var defersActions = false
    /// Operations that the drafts bring to their end without the code.
    var endings = 0
    /// Operations that have to wait for the next plan.
    var deferred: Set<OperationID> = []
    /// What this build cannot do and the run has to wait for another one with; said once nothing else is to be recorded or under way.
    package var obstacle: Divergence?
    /// With these drafts the run is given up and leaves memory.
    package var transition: RunTransition?
    /// The drafts end a reset: the run goes on from an earlier point, and is read anew.
    package var rewinds = false
}

extension RunMachine {
    /// Closes the batch that the facts since the last plan have begun: says what the operations at rest need beside them. Changes
    /// nothing that a refused commit would have to take back.
    package mutating func plan(now: Timestamp) -> Plan {
        var plan = Plan()
        defer { batch = Batch() }
        guard !isReplaying, !isClosed, !isPaused, !hasStoodDown else { return plan }
        if let termination {
            // What else has come about is fed first: it decides which steps are open.
            if batch.changesRun { return plan }
            plan.drafts = drafts(for: termination)
            declineStandstill(into: &plan.drafts)
            if !batch.hasOpened { plan.drafts.events.insert(contentsOf: opening(), at: 0) }
            return plan
        }
        if batch.hasReset { return plan }
        if let standstill {
            planStandstill(standstill, now: now, into: &plan)
            return plan
        }
        let looked = queue
        queue.removeAll(keepingCapacity: true)
        for id in looked {
            let before = plan.drafts.events.count
            if batch.spokenFor.contains(id) {
                queue.append(id)
                continue
            }
            if let step = steps[id] {
                planStep(step, now: now, into: &plan)
            } else if let timer = timers[id] {
                planTimer(timer, now: now, into: &plan)
            } else if let question = questions[id] {
                planQuestion(question, now: now, into: &plan)
            } else if let note = notes[id] {
                planNote(note, into: &plan)
            } else if let child = children[id] {
                planChild(id, child, into: &plan)
            }
            if plan.drafts.events.count > before || plan.deferred.contains(id) {
                queue.append(id)
            } else {
                unqueue(id)
            }
        }
        for id in bodiesToStop { plan.actions.append(.tellBodyToStop(id)) }
        if standIn == nil { planRun(now: now, into: &plan) } else { planStandIn(into: &plan) }
        if plan.drafts.isEmpty, !batch.hasDrafts { return plan }
        // Actions wait until what was said before them is durable; their operations are looked at again then.
        for action in plan.actions { enqueue(action.operation) }
        plan.defersActions = !plan.actions.isEmpty || !plan.deferred.isEmpty
        plan.actions = []
        return plan
    }

    // MARK: Steps

    mutating func planStep(_ step: StepOperation, now: Timestamp, into plan: inout Plan) {
        if step.isCancelled, planCancelled(step, into: &plan) { return }
        // What is being undone goes on, in its order, for as long as the grace lasts.
        if isEnding, step.family == .step, isToBegin(step, now: now) {
            // It stays in the queue: whoever has the run next begins it.
            plan.deferred.insert(step.id)
            return
        }
        if step.isToBeDoubted, step.phase != .awaitingKey, ownerMissing(for: step) == nil {
            return planDoubtOfLost(step, .lost, now: now, into: &plan)
        }
        switch step.phase {
        case .released:
            if let refusal = ownerMissing(for: step) {
                // It stays in the queue: everything else is recorded first.
                plan.deferred.insert(step.id)
                plan.obstacle = refusal
            } else if step.request.approval != nil, !step.isApprovalConsumed {
                plan.drafts.events.append(approvalRequest(step, now: now))
            } else if step.needsIntent, !isForgotten(step, at: now), !Mutant.isOn("skip an intent") {
                if isAdmitted(step, now: now, into: &plan) { planIntent(step, now: now, into: &plan) }
            } else {
                planResend(step, now: now, into: &plan)
            }
        case .approved:
            if isAdmitted(step, now: now, into: &plan) { planIntent(step, now: now, into: &plan) }
        case .intended:
            if step.mayHaveRun, step.isAtMostOnce {
                plan.drafts.events.append(inDoubt(step, .interrupted))
            } else if step.isIntentUnsent, let deadline = step.deadline, deadline <= now {
                // The process stood still since: the attempt would begin with its time used up.
                planIntent(step, now: now, replacesUnsent: true, into: &plan)
            } else {
                planResend(step, now: now, into: &plan)
            }
        case .backingOff:
            if let due = step.due, due > now {
                wake(step.id, at: due)
            } else if step.isAtMostOnce {
                if isAdmitted(step, now: now, into: &plan) { planIntent(step, now: now, into: &plan) }
            } else {
                planResend(step, now: now, into: &plan)
            }
        case .inDoubt:
            guard let doubt = step.doubt, !doubt.needsPerson, !strayProbes.contains(step.id) else { return }
            if let at = doubt.probeAt, at > now {
                wake(step.id, at: at)
            } else {
                plan.actions.append(.probe(step.id))
            }
        case .awaitingKey:
            plan.actions.append(.awaitKey(step.id))
        case .requested, .awaitingApproval, .running, .probing, .deadLetter, .undoing, .abandoned, .ended:
            break
        }
    }

    /// Whether the next thing to be done about the step is a body, or its intent. An intent that is durable counts as sent, so it is.
    private func isToBegin(_ step: StepOperation, now: Timestamp) -> Bool {
        switch step.phase {
        case .released: step.request.approval == nil || step.isApprovalConsumed
        case .approved, .awaitingKey: true
        case .intended: !step.isIntentUnsent
        case .backingOff: step.due.map { $0 <= now } ?? true
        case .inDoubt: step.doubt.map { !$0.needsPerson && ($0.probeAt ?? now) <= now } ?? false
        case .requested, .awaitingApproval, .running, .probing, .deadLetter, .undoing, .abandoned, .ended: false
        }
    }

    private mutating func planResend(_ step: StepOperation, now: Timestamp, into plan: inout Plan) {
        if isForgotten(step, at: now) {
            if step.mayHaveBeenLost, step.request.businessKey != nil {
                return planDoubtOfLost(step, .retentionPassed, now: now, into: &plan)
            }
            plan.drafts.events.append(inDoubt(step, .retentionPassed))
        } else if !isAdmitted(step, now: now, into: &plan) {
            return
        } else if step.needsFreshIntent {
            planIntent(step, now: now, into: &plan)
        } else {
            plan.actions.append(.run(step.id))
        }
    }

    /// Whether an earlier attempt may have happened, or may still happen, and the other side would not recognise another one.
    private func isForgotten(_ step: StepOperation, at now: Timestamp) -> Bool {
        (step.mayHaveRun || step.earlierMayHaveRun) && step.isOutsideWindow(at: now)
    }

    /// A step that the code no longer wants: ended where it surely did not happen, otherwise left to be settled like any other.
    /// Returns whether nothing else is to be done with it.
    private mutating func planCancelled(_ step: StepOperation, into plan: inout Plan) -> Bool {
        if step.phase == .abandoned {
            plan.drafts.events.append(EventDraft(.approvalCancelled, subject: step.request.subject))
            plan.endings += 1
            return true
        }
        if step.phase == .running, !step.bodyWasToldToStop { plan.actions.append(.tellBodyToStop(step.id)) }
        let surelyDidNotHappen: Bool =
            switch step.phase {
            case .released, .intended, .backingOff, .deadLetter, .awaitingKey: !step.mayHaveRun
            default: false
            }
        if step.isRead || surelyDidNotHappen {
            plan.drafts.events.append(stepCancelled(step))
            settleKey(of: step, .free, into: &plan.drafts)
            return true
        }
        return step.phase == .running
    }

    mutating func planIntent(
        _ step: StepOperation, now: Timestamp, replacesUnsent: Bool = false, into plan: inout Plan
    ) {
        if step.family == .step, let key = step.request.businessKey {
            let take = BusinessKeyTake(
                key: BusinessKey(namespace: identity.namespace, step: step.request.name, key: key),
                generation: step.keyGeneration,
                subject: step.request.subject, inputDigest: SaltedDigest.hex(salt: [], canonicalBytes: step.request.input))
            if plan.drafts.takes.contains(where: { $0.key == take.key }) {
                // Two steps of this run want one key. The second asks when the first has it, and is told to wait.
                plan.deferred.insert(step.id)
                return
            }
            if !Mutant.isOn("take no business key") { plan.drafts.takes.append(take) }
        }
        // From here on nobody else may take its outcome for one that lasts.
        if step.family == .undo, !step.hasIntent { settleKey(of: step, .undoing, into: &plan.drafts) }
        if step.phase == .approved, !step.isApprovalConsumed {
            plan.drafts.events.append(EventDraft(.approvalConsumed, subject: step.request.subject))
        }
        plan.drafts.events.append(intent(step, now: now, replacesUnsent: replacesUnsent))
    }

    // MARK: Waits

    private mutating func planTimer(_ timer: TimerOperation, now: Timestamp, into plan: inout Plan) {
        switch timer.phase {
        case .released:
            let due = timer.until ?? now + timer.duration
            let attributes: Attributes = ["due": JSONValue(due)]
            plan.drafts.events.append(EventDraft(.timerStarted, subject: timer.subject, attributes: attributes))
        case .abandoned:
            plan.drafts.events.append(EventDraft(.timerCancelled, subject: timer.subject))
            plan.endings += 1
        case .requested, .started:
            break
        }
    }

    private mutating func planQuestion(_ question: QuestionOperation, now: Timestamp, into plan: inout Plan) {
        let request = question.request
        switch question.phase {
        case .released:
            let attributes = Attributes.make(
                ("approver", .string(request.approver.description)),
                ("expires_at", request.within.map { JSONValue(now + $0) }))
            let text = JSONValue.string(request.text).canonicalBytes
            plan.drafts.events.append(
                EventDraft(.questionAsked, subject: request.subject, attributes: attributes, input: .inline(text)))
        case .abandoned:
            plan.drafts.events.append(EventDraft(.questionCancelled, subject: request.subject))
            plan.endings += 1
        case .requested, .asked:
            break
        }
    }

    // MARK: The run itself

    /// What has to stand in front of the first event that this process adds: that the run goes on here, and that its history fits.
    func opening() -> [EventDraft] {
        var events: [EventDraft] = []
        if recordedNode != node || recordedBuild != build {
            events.append(EventDraft(.runResumed, attributes: ["build": .string(build), "node": .string(node)]))
        }
        // Whether the code fits, only the code can tell.
        if isBlockedInHistory, standIn == nil { events.append(EventDraft(.runUnblocked)) }
        return events
    }

    private mutating func planRun(now: Timestamp, into plan: inout Plan) {
        let patches = patchesToRecord.map { EventDraft(.versionPatched, subject: $0) }
        plan.drafts.events.insert(contentsOf: patches, at: 0)
        // A run that ends with this commit is not asked any more; one that takes its time must not keep senders waiting.
        if !updates.buffer.isEmpty, !isOver(after: plan) { plan.drafts.events += unheardUpdates() }
        if let reset = resetEnds(after: plan) {
            plan.drafts.events.append(reset)
            settleWithdrawn(into: &plan.drafts)
            plan.transition = RunTransition(to: .ready)
            plan.rewinds = true
        } else if let rootResult, rewinding == nil, isOver(after: plan), mayClose(with: rootResult) {
            let final = finalEvent(rootResult)
            plan.drafts.events.append(final)
            tellParent(of: final, into: &plan.drafts)
            if final.kind == .runContinued, let succession { startSuccessor(succession, into: &plan.drafts) }
        } else if isParkedInHistory {
            if !isStuck { plan.drafts.events.insert(EventDraft(.runUnparked), at: 0) }
        } else if plan.drafts.isEmpty, plan.actions.isEmpty, !batch.hasDrafts, isStuck {
            plan.drafts.events.append(EventDraft(.runParked, attributes: ["reason": .string(stuckReason)]))
        }
        // Another build's body is about to be sent under the old key: the history has to show it.
        let showsBuild = recordedBuild != build && plan.actions.contains(where: sendsStep)
        if !batch.hasOpened, !plan.drafts.isEmpty || isBlockedInHistory || showsBuild {
            plan.drafts.events.insert(contentsOf: opening(), at: 0)
        }
    }

    private func sendsStep(_ action: RunAction) -> Bool {
        guard case .run(let id) = action else { return false }
        return steps[id]?.isRead == false
    }

    /// Whether every operation that is left ends with the plan's drafts.
    private func isOver(after plan: Plan) -> Bool {
        requestedSinceRest.isEmpty && unwindings.isEmpty
            && steps.count + timers.count + questions.count + notes.count + children.count == plan.endings
    }

    /// A run that is continued takes in first what comes with its last commit: a cancellation wins. Messages are handed on with that
    /// commit, or a run that gets them all the time would never close. To every other end nothing of it makes a difference.
    private func mayClose(with result: RootResult) -> Bool { result != .continued || !batch.changesMore }

    /// How the code has ended; nil as long as it has not.
    var ending: EventDraft? { rootResult.map(finalEvent) }

    private func finalEvent(_ result: RootResult) -> EventDraft {
        switch (verdict, result) {
        case (let failure?, _): .runFailed(failure)
        case (nil, .completed(let output)): EventDraft(.runCompleted, output: .inline(output))
        case (nil, .continued):
            succession.map(continued)
                ?? .runFailed(
                    StepFailure(
                        code: StepFailure.workflowFailed, message: "the run was to be continued, but nothing says as what"))
        case (nil, .failed(let failure)): .runFailed(failure)
        case (nil, .cancelled) where hasPassedDeadline:
            .runFailed(.passedDeadline)
        case (nil, .cancelled) where cancelWasRequested: EventDraft(.runCancelled)
        case (nil, .cancelled):
            .runFailed(
                StepFailure(
                    code: StepFailure.stepFailed, typeName: "CancellationError", message: "the workflow threw CancellationError"))
        }
    }
}

extension RunAction {
    var operation: OperationID {
        switch self {
        case .run(let id), .probe(let id), .tellBodyToStop(let id), .admit(let id), .awaitKey(let id): id
        }
    }
}
