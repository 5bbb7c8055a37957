import Perdure
package import PerdureHistory
import PerdureStore

/// What has to happen next. Where `drafts` is not empty, nothing is started yet: it becomes durable first.
package struct Plan: Sendable {
    package var drafts = Drafts()
    package var actions: [RunAction] = []
    /// Whether there is something to start as soon as the drafts are durable.
    package var defersActions = false
}

extension RunMachine {
    /// Says what the operations at rest need. Changes nothing that a refused commit would have to take back.
    package mutating func plan(now: Timestamp) -> Plan {
        var plan = Plan()
        guard !isReplaying, !isClosed else { return plan }
        let looked = queue
        queue.removeAll(keepingCapacity: true)
        for id in looked {
            let before = plan.drafts.events.count
            if let step = steps[id] {
                planStep(step, now: now, into: &plan)
            } else if let timer = timers[id] {
                planTimer(timer, now: now, into: &plan)
            } else if let question = questions[id] {
                planQuestion(question, now: now, into: &plan)
            }
            if plan.drafts.events.count > before {
                queue.append(id)
            } else {
                steps[id]?.isQueued = false
                timers[id]?.isQueued = false
                questions[id]?.isQueued = false
            }
        }
        planRun(now: now, into: &plan)
        if plan.drafts.isEmpty { return plan }
        // Actions wait until what was said before them is durable; their operations are looked at again then.
        for action in plan.actions { enqueue(action.operation) }
        plan.defersActions = !plan.actions.isEmpty
        plan.actions = []
        return plan
    }

    // MARK: Steps

    private mutating func planStep(_ step: StepOperation, now: Timestamp, into plan: inout Plan) {
        if step.isCancelled, planCancelled(step, into: &plan) { return }
        switch step.phase {
        case .released:
            if step.request.approval != nil, !step.isApprovalConsumed {
                plan.drafts.events.append(approvalRequest(step, now: now))
            } else if step.isOutsideWindow(at: now), step.mayHaveRun {
                plan.drafts.events.append(inDoubt(step, .retentionPassed))
            } else if step.needsIntent || step.family == .undo || step.needsFreshIntent {
                planIntent(step, now: now, into: &plan)
            } else {
                plan.actions.append(.run(step.id))
            }
        case .approved:
            plan.drafts.events.append(EventDraft(.approvalConsumed, subject: step.request.subject))
            planIntent(step, now: now, into: &plan)
        case .intended:
            if step.mayHaveRun, step.isAtMostOnce {
                plan.drafts.events.append(inDoubt(step, .interrupted))
            } else {
                planResend(step, now: now, into: &plan)
            }
        case .backingOff:
            if let due = step.due, due > now {
                wake(step.id, at: due)
            } else if step.isAtMostOnce {
                planIntent(step, now: now, into: &plan)
            } else {
                planResend(step, now: now, into: &plan)
            }
        case .inDoubt:
            guard let doubt = step.doubt, !doubt.needsPerson else { return }
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

    private mutating func planResend(_ step: StepOperation, now: Timestamp, into plan: inout Plan) {
        if step.mayHaveRun, step.isOutsideWindow(at: now) {
            plan.drafts.events.append(inDoubt(step, .retentionPassed))
        } else if step.needsFreshIntent {
            planIntent(step, now: now, into: &plan)
        } else {
            plan.actions.append(.run(step.id))
        }
    }

    /// A step that the code no longer wants: ended where it surely did not happen, otherwise left to be settled like any other.
    /// Returns whether nothing else is to be done with it.
    private mutating func planCancelled(_ step: StepOperation, into plan: inout Plan) -> Bool {
        if step.phase == .abandoned {
            plan.drafts.events.append(EventDraft(.approvalCancelled, subject: step.request.subject))
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

    private mutating func planIntent(_ step: StepOperation, now: Timestamp, into plan: inout Plan) {
        var take: BusinessKeyTake?
        if step.family == .step, let key = step.request.businessKey {
            take = BusinessKeyTake(
                key: BusinessKey(namespace: identity.namespace, step: step.request.name, key: key), generation: step.keyGeneration,
                subject: step.request.subject, inputDigest: SaltedDigest.hex(salt: [], canonicalBytes: step.request.input))
        }
        if let take { plan.drafts.takes.append(take) }
        plan.drafts.events.append(intent(step, now: now))
    }

    // MARK: Waits

    private mutating func planTimer(_ timer: TimerOperation, now: Timestamp, into plan: inout Plan) {
        switch timer.phase {
        case .requested:
            let due = now + timer.duration
            let attributes: Attributes = ["due": JSONValue(due)]
            plan.drafts.events.append(EventDraft(.timerStarted, subject: timer.subject, attributes: attributes))
        case .abandoned:
            plan.drafts.events.append(EventDraft(.timerCancelled, subject: timer.subject))
        case .started:
            break
        }
    }

    private mutating func planQuestion(_ question: QuestionOperation, now: Timestamp, into plan: inout Plan) {
        let request = question.request
        switch question.phase {
        case .requested:
            let attributes = Attributes.make(
                ("approver", .string(request.approver.description)),
                ("expires_at", request.within.map { JSONValue(now + $0) }))
            let text = JSONValue.string(request.text).canonicalBytes
            plan.drafts.events.append(
                EventDraft(.questionAsked, subject: request.subject, attributes: attributes, input: .inline(text)))
        case .abandoned:
            plan.drafts.events.append(EventDraft(.questionCancelled, subject: request.subject))
        case .asked:
            break
        }
    }

    // MARK: The run itself

    private mutating func planRun(now: Timestamp, into plan: inout Plan) {
        if isBlockedInHistory { plan.drafts.events.insert(EventDraft(.runUnblocked), at: 0) }
        if let rootResult, remainsOnly(plan.drafts.events.count) {
            plan.drafts.events.append(finalEvent(rootResult))
            return
        }
        let shouldBeParked = plan.drafts.isEmpty && plan.actions.isEmpty && isStuck
        if shouldBeParked, !isParkedInHistory {
            let attributes: Attributes = ["reason": .string(stuckReason)]
            plan.drafts.events.append(EventDraft(.runParked, attributes: attributes))
        } else if isParkedInHistory, !isStuck {
            plan.drafts.events.insert(EventDraft(.runUnparked), at: 0)
        }
    }

    /// Whether the run is over but for operations that this many drafts bring to their end.
    private func remainsOnly(_ drafts: Int) -> Bool {
        guard requestedSinceRest.isEmpty, unwindings.isEmpty else { return false }
        let open = steps.count + timers.count + questions.count
        if open == 0 { return true }
        let abandoned =
            steps.values.count { $0.phase == .abandoned } + timers.values.count { $0.phase == .abandoned }
            + questions.values.count { $0.phase == .abandoned }
        return open == abandoned && drafts >= abandoned
    }

    private func finalEvent(_ result: RootResult) -> EventDraft {
        switch (verdict, result) {
        case (let failure?, _): failed(failure)
        case (nil, .completed(let output)): EventDraft(.runCompleted, output: .inline(output))
        case (nil, .failed(let failure)): failed(failure)
        case (nil, .cancelled) where cancelWasRequested: EventDraft(.runCancelled)
        case (nil, .cancelled):
            failed(StepFailure(code: StepFailure.stepFailed, typeName: "CancellationError", message: "the workflow threw CancellationError"))
        }
    }
}

extension RunAction {
    var operation: OperationID {
        switch self {
        case .run(let id), .probe(let id), .tellBodyToStop(let id), .awaitKey(let id): id
        }
    }
}
