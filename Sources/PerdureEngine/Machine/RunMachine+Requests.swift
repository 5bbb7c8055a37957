import DequeModule
import HeapModule
import Perdure
package import PerdureHistory

// What the code asks for. Requests come while the run is drained, between two events.
extension RunMachine {
    package mutating func request(_ request: StepRequest) -> OperationID {
        let id = makeID()
        if !adoptable.isEmpty, let adoption = adopted(request) {
            complete(id, request, adoption)
            answers.append((id, adoption.answer))
            return id
        }
        steps[id] = StepOperation(id: id, family: .step, request: request, source: id)
        if let generation = generations[request.subject] { steps[id]?.keyGeneration = generation }
        stepIDs[request.subject] = id
        requestedSinceRest.append(id)
        return id
    }

    package mutating func requestTimer(_ subject: String, duration: Duration, until: Timestamp? = nil) -> OperationID {
        let id = makeID()
        timers[id] = TimerOperation(subject: subject, duration: max(duration, .zero), until: until)
        timerIDs[subject] = id
        requestedSinceRest.append(id)
        return id
    }

    package mutating func requestSignal(_ name: String) -> OperationID {
        let id = makeID()
        if signalWaits[name, default: []].isEmpty, let signal = signalBuffer[name]?.popFirst() {
            answers.append((id, .value(signal.payload)))
        } else {
            signalWaits[name, default: []].append(id)
            signalWaitNames[id] = name
        }
        return id
    }

    package mutating func request(_ request: QuestionRequest) -> OperationID {
        let id = makeID()
        questions[id] = QuestionOperation(request: request)
        questionIDs[request.subject] = id
        requestedSinceRest.append(id)
        return id
    }

    /// The code left a scope with an error; the empty path is the whole run.
    package mutating func requestUnwinding(of scope: String) -> OperationID {
        let id = makeID()
        unwindings[id] = Unwinding(scope: scope, isAwaited: true)
        continueUnwinding(id)
        return id
    }

    /// The root task is over. The run closes when every operation is.
    package mutating func finish(_ result: RootResult) {
        rootResult = result
        // A person has decided that the run fails, which undoes what it did, even if the code made something else of it.
        if verdict != nil { unwindByItself() }
    }

    /// Undoes what the run did, without the code.
    mutating func unwindByItself() {
        let id = makeID()
        unwindings[id] = Unwinding(scope: "", isAwaited: false)
        continueUnwinding(id)
    }

    /// The task that waits for an operation was cancelled.
    package mutating func cancel(_ id: OperationID) {
        if let name = signalWaitNames.removeValue(forKey: id) {
            signalWaits[name]?.removeAll { $0 == id }
            answers.append((id, .cancelled))
        } else if let timer = timers[id], timer.phase != .abandoned {
            answers.append((id, .cancelled))
            if timer.phase == .requested {
                forgetTimer(id)
            } else {
                timers[id]?.phase = .abandoned
                enqueue(id)
            }
        } else if let question = questions[id], question.phase != .abandoned {
            answers.append((id, .cancelled))
            if question.phase == .requested {
                forgetQuestion(id)
            } else {
                questions[id]?.phase = .abandoned
                enqueue(id)
            }
        } else if let name = updates.names[id] {
            cancelUpdateWait(id, name)
        } else if notes[id] != nil {
            cancelNote(id)
        } else if children[id] != nil {
            cancelChild(id)
        } else {
            cancelStep(id)
        }
    }

    private mutating func cancelStep(_ id: OperationID) {
        guard let step = steps[id], step.family == .step, !step.isCancelled else { return }
        steps[id]?.isCancelled = true
        switch step.phase {
        case .requested:
            end(id, with: .cancelled)
        case .awaitingApproval, .approved:
            abandon(id)
        case .awaitingKey where step.request.approval != nil && !step.isApprovalConsumed && !step.isToBeDoubted:
            // Only this process knows of the wait for the key: to history the step is approved.
            abandon(id)
        default:
            enqueue(id)
        }
    }

    /// An approval ends at once: nothing can have been sent before its decision was consumed.
    mutating func abandon(_ id: OperationID) {
        answers.append((id, .cancelled))
        steps[id]?.isAnswered = true
        move(id, to: .abandoned)
        enqueue(id)
    }

    mutating func forgetTimer(_ id: OperationID) {
        guard let timer = timers.removeValue(forKey: id) else { return }
        if timerIDs[timer.subject] == id { timerIDs[timer.subject] = nil }
    }

    mutating func forgetQuestion(_ id: OperationID) {
        guard let question = questions.removeValue(forKey: id) else { return }
        if questionIDs[question.request.subject] == id { questionIDs[question.request.subject] = nil }
    }
}
