import Perdure
package import PerdureHistory
import PerdureStore

/// What a machine knows that undoes steps in place of the run's code.
package struct StandIn: Sendable {
    let steps: StepRegistry
    /// What history says of steps, by subject.
    var recorded: [String: RecordedStep] = [:]

    package init(steps: StepRegistry) { self.steps = steps }
}

// A run whose code is not here. Nothing is asked for, so that only undos are open: those that history says have begun or are to begin,
// and those of a reset. They go by the rules of every undo, and the events are those that the code would have led to.
extension RunMachine {
    /// Whether nothing is left to be undone here, but for what waits for a person.
    package var isDoneStandingIn: Bool { requestedSinceRest.isEmpty && steps.values.allSatisfy(\.waitsForPerson) }

    /// Takes in an event without asking whose it is: what is none of the undos' business is somebody else's to read.
    mutating func takeWithoutCode(_ event: Event) throws {
        switch event.kind {
        case .stepIntended, .stepAttemptFailed, .stepSucceeded, .stepFailed, .stepCancelled, .stepInDoubt, .stepResolved:
            try note(step: event)
        case .undoStarted, .undoAttemptFailed, .undoSucceeded, .undoFailed, .undoInDoubt, .undoResolved:
            guard undoIDs[event.subject] != nil || (event.kind == .undoStarted && beginUndo(of: event.subject)) else { return }
            try take(event)
        case .runStarted, .runResumed, .runBlocked, .runUnblocked, .runParked, .runUnparked, .runPaused, .runUnpaused,
            .runRepinned,
            .operatorAction, .runForked, .runRestored, .runLossSettled:
            try take(event)
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: isClosed = true
        case .runReset:
            // What it passes over has been looked at only for what holds of the whole run.
            passedOver = PassedOver()
            (isBlockedInHistory, isParkedInHistory, rewinding) = (false, false, nil)
        default: break
        }
    }

    private mutating func note(step event: Event) throws {
        let attributes = try event.attributes.object(), subject = event.subject
        standIn?.recorded[subject, default: RecordedStep()].add(event, attributes)
        let resolution = attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init)
        let hasHappened =
            event.kind == .stepSucceeded && !attributes.has("adopted_from")
            || event.kind == .stepResolved && (resolution == .happened || resolution == .undo)
        guard hasHappened, let recorded = standIn?.recorded[subject], let type = recorded.type, let known = standIn?.steps[type],
            let input = recorded.input
        else { return }
        let request = StepRequest(
            subject: subject, name: Name.ofOperation(subject), effect: .idempotent(.forever), policy: known.policy,
            undo: known.undo, businessKey: recorded.businessKey, stepType: type, input: input)
        completed.append(
            CompletedStep(
                id: makeID(), request: request, undo: known.undo, output: try event.outputBytes(),
                keyGeneration: recorded.generation, completedAt: event.seq))
        if resolution == .undo || attributes["to_undo"]?.boolValue == true { beginUndo(of: subject) }
    }

    /// Has the completed step undone now. False if there is none.
    @discardableResult
    mutating func beginUndo(of subject: String) -> Bool {
        guard let index = completed.lastIndex(where: { $0.request.subject == subject && !$0.isBeingUndone }) else { return false }
        undoCompletedStep(at: index, for: nil)
        rest()
        return true
    }

    mutating func planStandIn(into plan: inout Plan) {
        if let reset = resetEnds(after: plan) {
            plan.drafts.events.append(reset)
            plan.transition = RunTransition(to: .ready)
            plan.rewinds = true
        } else if plan.drafts.isEmpty, plan.actions.isEmpty, !batch.hasDrafts, isStuck, !isParkedInHistory, !isBlockedInHistory {
            plan.drafts.events.append(EventDraft(.runParked, attributes: ["reason": .string(stuckReason)]))
        }
        let showsBuild = recordedBuild != build && plan.actions.contains { if case .run = $0 { true } else { false } }
        if !batch.hasOpened, !plan.drafts.isEmpty || showsBuild { plan.drafts.events.insert(contentsOf: opening(), at: 0) }
    }

    /// What an attempt undoes, if it is one in place of the run's code.
    package func standInCall(_ id: OperationID) -> (type: RegisteredStep, input: Payload)? {
        guard let request = steps[id]?.request, let type = request.stepType, let known = standIn?.steps[type] else { return nil }
        return (known, Payload(bytes: request.input))
    }
}
