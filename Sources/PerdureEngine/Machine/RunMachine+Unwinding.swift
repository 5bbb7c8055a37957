import Perdure
import PerdureHistory

// Undoing what has happened.
extension RunMachine {
    /// Undoes the newest step of the scope that is left, or ends the unwinding.
    mutating func continueUnwinding(_ id: OperationID) {
        guard let unwinding = unwindings[id] else { return }
        let isLeft = { (step: CompletedStep) in !step.isBeingUndone && step.request.scope.isInside(unwinding.scope) }
        let isBackwards = Mutant.isOn("unwind in the wrong order")
        guard let index = isBackwards ? completed.firstIndex(where: isLeft) : completed.lastIndex(where: isLeft) else {
            unwindings[id] = nil
            if unwinding.isAwaited { answers.append((id, .done)) }
            return
        }
        undoCompletedStep(at: index, for: .unwinding(id))
    }

    /// Undoes a step whose own wait has not ended yet, and ends it then.
    mutating func startUndo(
        of step: StepOperation, _ undo: StepRequest.Undo, output: [UInt8], then answer: Answer, by event: Event
    ) throws(Divergence) {
        try move(step.id, to: .undoing, by: event)
        makeUndo(
            of: step.id, step.request, undo, output: output, keyGeneration: step.keyGeneration, completedAt: event.seq,
            owner: .step(step.id, answer))
    }

    /// Undoes a step whose wait has ended, for whoever waits for the undo.
    mutating func undoCompletedStep(at index: Int, for owner: StepOperation.Owner?) {
        completed[index].isBeingUndone = true
        let step = completed[index]
        makeUndo(
            of: step.id, step.request, step.undo, output: step.output, keyGeneration: step.keyGeneration,
            completedAt: step.completedAt, owner: owner)
    }

    mutating func makeUndo(
        of source: OperationID, _ request: StepRequest, _ undo: StepRequest.Undo, output: [UInt8], keyGeneration: Int,
        completedAt: Int64, owner: StepOperation.Owner?
    ) {
        let id = makeID()
        let effect: EffectKind, hasProbe: Bool
        switch undo {
        case .idempotent: (effect, hasProbe) = (.idempotent(.forever), false)
        case .atMostOnce(let probe): (effect, hasProbe) = (.atMostOnce, probe)
        case .transactional: (effect, hasProbe) = (.transactional, false)
        }
        var policy = StepPolicy(
            attemptTimeout: request.policy.attemptTimeout, grace: request.policy.grace, intent: .always,
            heartbeatTimeout: request.policy.heartbeatTimeout)
        policy.retry.initialDelay = request.policy.retry.initialDelay
        policy.retry.maximumDelay = request.policy.retry.maximumDelay
        let undoRequest = StepRequest(
            subject: request.subject, name: request.name, scope: request.scope, effect: effect, policy: policy,
            hasProbe: hasProbe,
            businessKey: request.businessKey, stepType: request.stepType, input: request.input, accepts: request.accepts)
        var operation = StepOperation(
            id: id, family: .undo, request: undoRequest, source: source, undoneOutput: output, owner: owner)
        operation.isInputRecorded = true
        // Its key is made from the step's, generation and all.
        operation.keyGeneration = keyGeneration
        operation.undoneSince = completedAt
        operation.windowStart = lastEventAt
        operation.releasedBuild = recordedBuild
        steps[id] = operation
        undoIDs[request.subject] = id
        requestedSinceRest.append(id)
    }

    /// An undo has ended, or a person decided that it is not needed.
    mutating func undoIsOver(_ undo: StepOperation) {
        end(undo.id, with: nil)
        // The newest is undone first, so it stands near the end.
        if let index = completed.lastIndex(where: { $0.id == undo.source }) { completed.remove(at: index) }
        switch undo.owner {
        case .unwinding(let id)?: continueUnwinding(id)
        case .step(let id, let answer)?: end(id, with: answer)
        case .child(let id)?: endChild(id, with: .cancelled)
        case nil: break
        }
    }
}

extension String {
    /// Whether this scope path is the given one or lies within it.
    func isInside(_ scope: String) -> Bool {
        // By bytes: a name may begin with a mark that Swift takes together with the '/' in front of it.
        guard !scope.isEmpty, utf8.starts(with: scope.utf8) else { return scope.isEmpty }
        return utf8.dropFirst(scope.utf8.count).first.map { $0 == UInt8(ascii: "/") } ?? true
    }
}
