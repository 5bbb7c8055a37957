import Perdure
import PerdureHistory
import PerdureStore

// Children: runs of their own whose start and end stand in this run's history.
extension RunMachine {
    package mutating func request(_ request: ChildRequest) -> OperationID {
        let id = makeID()
        if let outcome = adopted(request) {
            complete(id, request, outcome)
            answers.append((id, .value(outcome.output)))
            return id
        }
        children[id] = ChildOperation(request: request)
        childIDs[request.subject] = id
        requestedSinceRest.append(id)
        return id
    }

    mutating func cancelChild(_ id: OperationID) {
        guard let child = children[id], !child.isCancelled else { return }
        children[id]?.isCancelled = true
        switch (child.phase, child.request.policy) {
        case (.requested, _):
            endChild(id, with: .cancelled)
        case (.released, .abandon), (.started, .abandon):
            answers.append((id, .cancelled))
            moveChild(id, to: .abandoned)
            enqueue(id)
        case (.released, .cancel), (.started, .cancel):
            enqueue(id)
        case (.cancelling, _), (.undoing, _), (.abandoned, _), (.ended, _):
            break
        }
    }

    mutating func moveChild(_ id: OperationID, to phase: ChildPhase) {
        guard let from = children[id]?.phase else { return }
        let transition = ChildTransition(from, phase)
        assert(transition.isLegal, "the child machine has no transition \(transition)")
        childTrace?.insert(transition)
        children[id]?.phase = transition.destination
    }

    /// Ends a child and gives the code its answer, if it still waits.
    mutating func endChild(_ id: OperationID, with answer: Answer?) {
        let wasAnswered = children[id]?.phase == .abandoned
        moveChild(id, to: .ended)
        guard children[id]?.phase == .ended, let child = children.removeValue(forKey: id) else { return }
        if childIDs[child.request.subject] == id { childIDs[child.request.subject] = nil }
        if let answer, !wasAnswered { answers.append((id, answer)) }
    }

    // MARK: Feeding

    mutating func feedChild(_ event: Event) throws {
        guard let id = childIDs[event.subject], let child = children[id], child.phase != .requested, child.phase != .undoing
        else {
            throw unasked(event)
        }
        if event.kind == .childStarted { return try feedChildStarted(event, id, child) }
        let attributes = try event.attributes.object()
        if event.kind == .childCancelled, attributes["terminated"]?.boolValue == true {
            // The code is not told: it never runs again.
            return endChild(id, with: nil)
        }
        guard child.run != nil else {
            // It was given up before there was a child.
            guard event.kind == .childCancelled, child.isCancelled else { throw unasked(event) }
            return endChild(id, with: .cancelled)
        }
        switch event.kind {
        case .childCancelRequested:
            guard child.isCancelled, child.phase == .started else { throw unasked(event) }
            moveChild(id, to: .cancelling)
        case .childCompleted:
            try feedChildCompleted(event, id, child)
        case .childFailed:
            endChild(id, with: child.isCancelled ? .cancelled : .failure(StepFailure(event, attributes)))
        default:
            if attributes["abandoned"]?.boolValue == true, child.phase != .abandoned { throw unasked(event) }
            let message = "child '\(event.subject)' was cancelled by somebody else than this run"
            endChild(
                id,
                with: child.isCancelled ? .cancelled : .failure(StepFailure(code: StepFailure.childCancelled, message: message)))
        }
    }

    private mutating func feedChildStarted(_ event: Event, _ id: OperationID, _ child: ChildOperation) throws {
        let attributes = try event.attributes.object()
        guard child.run == nil else { throw unasked(event) }
        let workflow = attributes["workflow"]?.stringValue ?? ""
        guard workflow == child.request.workflow else {
            throw Divergence(
                .mismatch, subject: event.subject,
                message:
                    "Child '\(event.subject)' was recorded as a run of '\(workflow)' (event \(event.seq)), but the code asks for "
                    + "'\(child.request.workflow)'. \(Divergence.waysOut)")
        }
        let recorded = try event.inputBytes()
        guard recorded == child.request.input || child.request.accepts(recorded) else {
            let difference =
                Payload(bytes: recorded).firstDifference(from: Payload(bytes: child.request.input)) ?? "the inputs differ"
            throw Divergence(
                .mismatch, subject: event.subject,
                message:
                    "Child '\(event.subject)' was recorded with another input (event \(event.seq)): \(difference). "
                    + Divergence.waysOut)
        }
        guard let run = attributes["run"]?.stringValue.flatMap(RunID.init) else {
            throw Divergence(.unreadable, subject: event.subject, message: "Event \(event.seq) does not name the child's run.")
        }
        children[id]?.run = run
        children[id]?.startedAt = event.seq
        if child.request.isDetached {
            endChild(id, with: .value(JSONValue.string(run.description).canonicalBytes))
            return
        }
        // Given up while this event was on its way: the child is told next, or left alone.
        if child.phase == .released { moveChild(id, to: .started) }
        if child.isCancelled { enqueue(id) }
    }

    private mutating func feedChildCompleted(_ event: Event, _ id: OperationID, _ child: ChildOperation) throws {
        let output = try event.outputBytes()
        guard child.phase != .abandoned, let undo = child.request.undo else {
            endChild(id, with: child.isCancelled ? .cancelled : .value(output))
            return
        }
        let generation = generations[event.subject] ?? 0
        if child.isCancelled, rewinding == nil {
            moveChild(id, to: .undoing)
            makeUndo(
                of: id, child.request.undone, undo, output: output, keyGeneration: generation, completedAt: child.startedAt,
                owner: .child(id))
        } else {
            completed.append(
                CompletedStep(
                    id: id, request: child.request.undone, undo: undo, output: output, keyGeneration: generation,
                    completedAt: child.startedAt))
            endChild(id, with: .value(output))
        }
    }

    // MARK: Facts

    /// The child whose end the message tells, if this run still waits for it.
    func waitedFor(_ row: InboxRow) -> OperationID? {
        guard let id = childIDs[row.delivery.name], let child = children[id], let run = child.run,
            [.started, .cancelling, .abandoned].contains(child.phase), row.delivery.sender == .run(run)
        else { return nil }
        return id
    }

    func ended(_ row: InboxRow) -> EventDraft? {
        guard let id = waitedFor(row), let run = children[id]?.run else { return nil }
        guard let result = row.delivery.payload.flatMap(ChildResult.init), result.run == run else {
            return ChildResult.unreadable(run, subject: row.delivery.name, at: row.at)
        }
        return result.event(subject: row.delivery.name, at: row.at)
    }

    // MARK: Planning

    mutating func planChild(_ id: OperationID, _ child: ChildOperation, into plan: inout Plan) {
        let subject = child.request.subject
        switch child.phase {
        case .released where child.isCancelled:
            plan.drafts.events.append(EventDraft(.childCancelled, subject: subject))
        case .released:
            startChild(id, child, into: &plan)
        case .started where child.isCancelled:
            guard let run = child.run else { return }
            plan.drafts.events.append(
                EventDraft(.childCancelRequested, subject: subject, attributes: ["run": .string(run.description)]))
            plan.drafts.deliveries.append(
                Delivery(to: run, id: "parent:\(identity.id):cancel", kind: .cancel, sender: .run(identity.id)))
        case .abandoned:
            plan.drafts.events.append(leftAlone(child))
            plan.endings += 1
        case .requested, .started, .cancelling, .undoing, .ended:
            break
        }
    }

    private func startChild(_ id: OperationID, _ child: ChildOperation, into plan: inout Plan) {
        let request = child.request
        guard let version = request.version else {
            // It stays in the queue: everything else is recorded first.
            plan.deferred.insert(id)
            plan.obstacle = Divergence(
                .workflowUnknown, subject: request.subject,
                message:
                    "Child '\(request.subject)' cannot be started: no workflow '\(request.workflow)' of the version that the code asks for "
                    + "is registered here. Register it beside its parent; the run then goes on by itself.")
            return
        }
        let generation = generations[request.subject] ?? 0
        let run = RunID.child(
            of: identity.id, namespace: identity.namespace, subject: request.subject, generation: generation)
        plan.drafts.events.append(
            EventDraft(
                .childStarted, subject: request.subject,
                attributes: .make(
                    ("workflow", .string(request.workflow)), ("version", .string(version)), ("run", .string(run.description)),
                    ("abandon", JSONValue.bool(true).when(request.policy == .abandon)),
                    ("detached", JSONValue.bool(true).when(request.isDetached)),
                    ("generation", JSONValue(generation).when(generation != 0)),
                    ("irreversible", request.irreversible.map(JSONValue.string))),
                input: .inline(request.input)))
        plan.drafts.children.append(
            ChildStart(
                id: run, workflow: request.workflow, version: version,
                parent: ParentLink(run: identity.id, subject: request.subject, isDetached: request.isDetached),
                starter: starter ?? .run(identity.id), input: request.input, lostPart: lostPart,
                firstEpoch: firstEpoch))
    }

    /// The code no longer waits for the child, which goes on if there is one.
    private func leftAlone(_ child: ChildOperation, isTerminated: Bool = false) -> EventDraft {
        EventDraft(
            .childCancelled, subject: child.request.subject,
            attributes: .make(
                ("run", child.run.map { .string($0.description) }), ("abandoned", JSONValue.bool(true).when(child.run != nil)),
                ("terminated", JSONValue.bool(true).when(isTerminated))))
    }

    // MARK: Ends

    /// What a termination of this run means for a child that is not over.
    func terminateChild(_ id: OperationID, with termination: InboxRow, into drafts: inout Drafts) {
        guard let child = children[id] else { return }
        switch (child.phase, child.run) {
        case (.undoing, _), (.requested, _), (.ended, _):
            // Its undo is looked at by itself.
            break
        case (.started, let run?) where child.request.policy == .cancel, (.cancelling, let run?):
            drafts.events.append(
                EventDraft(
                    .childCancelled, subject: child.request.subject,
                    attributes: ["run": .string(run.description), "terminated": true]))
            drafts.deliveries.append(.termination(of: run, by: identity.id, as: termination))
        default:
            drafts.events.append(leftAlone(child, isTerminated: true))
        }
    }

    /// Puts the end of this run into the inbox of its parent.
    func tellParent(of final: EventDraft, into drafts: inout Drafts) {
        if let delivery = ChildResult.delivery(of: final, run: identity.id, first: firstOfChain, to: parent) {
            drafts.deliveries.append(delivery)
        }
    }
}

extension Delivery {
    /// What a person has said of the parent holds for the child.
    static func termination(of child: RunID, by parent: RunID, as row: InboxRow) -> Delivery {
        Delivery(
            to: child, id: "parent:\(parent):terminate", kind: .terminate, payload: row.delivery.payload,
            sender: row.delivery.sender)
    }
}
