import Perdure
import PerdureHistory
import PerdureStore

/// What the events say that a reset has passed over, until `run.reset` is fed.
struct PassedOver {
    /// Steps and children that an event speaks of: what is done again of them needs a key of its own.
    var touched: Set<String> = []
    /// What happened and was not undone.
    var outcomes: [String: Adoptable] = [:]
    var inputs: [String: [UInt8]] = [:]
    /// The generation under which each was begun last, and the highest of any: an earlier reset may lie in between.
    private(set) var generations: [String: Int] = [:]
    private(set) var highest: [String: Int] = [:]
    var businessKeys: Set<String> = []
    var reads: Set<String> = []
    var undone: Set<String> = []
    /// Undos that a person has ended without their having happened.
    var endedUndos: Set<String> = []
    /// How children ended, and those that the run left alone.
    var childEnds: [String: Event] = [:]
    var leftAlone: Set<String> = []
    /// Signals, and updates that nobody has answered, in their order.
    var messages: [Event] = []
    /// The run that this one is a child of wants it to end.
    var isCancelledByParent = false

    mutating func begins(_ subject: String, generation: Int) {
        generations[subject] = generation
        highest[subject] = max(highest[subject] ?? 0, generation)
    }
}

/// An outcome that answers again if the code asks for the same.
struct Adoptable {
    var output: [UInt8]
    var input: [UInt8]?
    var generation = 0
    /// Another run did it, or the source of this fork, which keeps it from being undone here.
    var isForeign = false
    var isRead = false
    var hasBusinessKey = false
}

// Histories with resets in them. What a reset has passed over is looked at, but not fed: the code never sees it. `run.reset` then puts
// everything that was open at its point back to where the code had just asked for it.
extension RunMachine {
    /// Facts about the run as a whole, which no reset takes back; and what it has to know of the others.
    mutating func passOver(_ event: Event) throws {
        switch event.kind {
        case .runResumed:
            let attributes = try event.attributes.object()
            recordedBuild = attributes["build"]?.stringValue ?? ""
            recordedNode = attributes["node"]?.stringValue ?? ""
        case .runPaused: isPaused = true
        case .runRestored: try noteLoss(event)
        case .runLossSettled: lostPart = nil
        case .runUnpaused: isPaused = false
        // They stay on the run as well.
        case .labelsChanged: changeLabels(try event.attributes.object())
        case .runCancelRequested: if isByParent(try event.attributes.object()) { passedOver.isCancelledByParent = true }
        case .runRepinned: if let version = try event.attributes.object()["to"]?.stringValue { goOn(as: version) }
        case .signalReceived, .updateReceived: passedOver.messages.append(event)
        case .updateCompleted, .updateRejected:
            passedOver.messages.removeAll { message in
                message.kind == .updateReceived && (try? message.attributes.object())?["delivery"]?.stringValue == event.subject
            }
        case .stepIntended, .stepAttemptFailed, .stepSucceeded, .stepFailed, .stepCancelled, .stepInDoubt, .stepResolved:
            try passOver(step: event)
        case .undoSucceeded: passOver(undone: event.subject)
        case .undoResolved:
            let resolution = try event.attributes.object()["resolution"]?.stringValue.flatMap(ResolutionKind.init)
            if resolution == .happened { passOver(undone: event.subject) }
            if resolution == .abort { passedOver.endedUndos.insert(event.subject) }
        case .childStarted, .childCompleted, .childFailed, .childCancelled: try passOver(child: event)
        default: break
        }
    }

    private mutating func passOver(undone subject: String) {
        passedOver.outcomes[subject] = nil
        passedOver.undone.insert(subject)
    }

    private mutating func passOver(step event: Event) throws {
        let attributes = try event.attributes.object(), subject = event.subject
        passedOver.touched.insert(subject)
        if case .inline(let input)? = event.input { passedOver.inputs[subject] = input }
        if attributes["effect"]?.stringValue == EffectKind.read.name { passedOver.reads.insert(subject) }
        if attributes.has("business_key") { passedOver.businessKeys.insert(subject) }
        let generation = attributes["generation"]?.integerValue.map { Int($0) }
        if event.kind == .stepIntended {
            passedOver.begins(subject, generation: generation ?? 0)
        } else if event.input != nil {
            passedOver.begins(subject, generation: generation ?? generations[subject] ?? 0)
        }
        let resolution = attributes["resolution"]?.stringValue.flatMap(ResolutionKind.init)
        // What a person wants undone has happened; where it was, an event says so.
        let hasHappened =
            event.kind == .stepSucceeded || event.kind == .stepResolved && (resolution == .happened || resolution == .undo)
        guard hasHappened else {
            // Whatever is intended anew was undone, or is not what happened before.
            passedOver.outcomes[subject] = nil
            return
        }
        // What had begun by the point has told there what later events do not repeat.
        let open = stepIDs[subject].flatMap { steps[$0] }
        let isKeyed = passedOver.businessKeys.contains(subject) || open?.request.businessKey != nil
        passedOver.outcomes[subject] = Adoptable(
            output: try event.outputBytes(), input: passedOver.inputs[subject],
            generation: passedOver.generations[subject] ?? open?.keyGeneration ?? generations[subject] ?? 0,
            isForeign: attributes.has("adopted_from"), isRead: passedOver.reads.contains(subject),
            hasBusinessKey: isKeyed || attributes.has("adopted_from"))
    }

    private mutating func passOver(child event: Event) throws {
        let attributes = try event.attributes.object(), subject = event.subject
        // One that exists at the point is waited for there, however it has ended since: nothing of it is chosen, and no other is made.
        let isWaitedFor = childIDs[subject].flatMap { children[$0]?.run } != nil
        if !isWaitedFor { passedOver.touched.insert(subject) }
        let generation = passedOver.generations[subject] ?? generations[subject] ?? 0
        switch event.kind {
        case .childStarted:
            passedOver.inputs[subject] = try event.inputBytes()
            (passedOver.outcomes[subject], passedOver.childEnds[subject]) = (nil, nil)
            let generation = attributes["generation"]?.integerValue.map { Int($0) } ?? generations[subject] ?? 0
            passedOver.begins(subject, generation: generation)
            if attributes["detached"]?.boolValue == true, let run = attributes["run"] {
                passedOver.outcomes[subject] = Adoptable(
                    output: run.canonicalBytes, input: passedOver.inputs[subject], generation: generation)
            }
        case .childCompleted:
            passedOver.childEnds[subject] = event
            if isWaitedFor { break }
            passedOver.outcomes[subject] = Adoptable(
                output: try event.outputBytes(), input: passedOver.inputs[subject], generation: generation)
        default:
            if attributes["abandoned"]?.boolValue == true {
                passedOver.leftAlone.insert(subject)
            } else {
                passedOver.childEnds[subject] = event
            }
        }
    }

    // MARK: The reset

    mutating func feedReset(_ event: Event) throws {
        guard isReplaying, let request = ResetRequest(try event.attributes.object()) else { throw unasked(event) }
        let passed = passedOver
        passedOver = PassedOver()
        (isBlockedInHistory, isParkedInHistory) = (false, false)
        settleChoices(request, passed)
        for id in steps.keys { try reopenStep(id, passed, by: event) }
        for id in timers.keys {
            switch timers[id]?.phase {
            case .abandoned?: forgetTimer(id)
            case .started?:
                // It was cancelled, and begins again with the time that it had.
                let due = timers[id]?.due
                timers[id]?.until = due
                timers[id]?.phase = .released
                enqueue(id)
            default: enqueue(id)
            }
        }
        for id in questions.keys {
            if questions[id]?.phase == .abandoned { forgetQuestion(id) } else { questions[id]?.phase = .released }
            enqueue(id)
        }
        for id in notes.keys { enqueue(id) }
        for id in children.keys { try reopenChild(id, passed) }
        for message in passed.messages {
            if message.kind == .signalReceived { try feedSignal(message) } else { try feedUpdate(message) }
        }
        // It is still wanted, and would not be said again.
        if passed.isCancelledByParent { (cancelWasRequested, rootShouldCancel) = (true, true) }
    }

    /// Which outcomes answer again, and what gets another generation.
    private mutating func settleChoices(_ request: ResetRequest, _ passed: PassedOver) {
        for subject in adoptable.keys where passed.undone.contains(subject) { adoptable[subject] = nil }
        for (subject, outcome) in adoptable where request.choice(for: subject) == .keep && !outcome.hasBusinessKey {
            adoptable[subject] = nil
            if !passed.touched.contains(subject) { generations[subject, default: 0] += 1 }
        }
        for subject in passed.touched.union(passed.undone) {
            let open = stepIDs[subject].flatMap { steps[$0]?.keyGeneration } ?? 0
            let highest = max(generations[subject] ?? 0, passed.highest[subject] ?? 0, open)
            guard let outcome = passed.outcomes[subject], Self.isAdopted(outcome, request.choice(for: subject)) else {
                generations[subject] = highest + 1
                continue
            }
            if highest > 0 { generations[subject] = highest }
            adoptable[subject] = outcome
        }
    }

    private static func isAdopted(_ outcome: Adoptable, _ choice: ResetChoice) -> Bool {
        switch choice {
        case .adopt: true
        case .undo: !outcome.isRead
        case .keep: outcome.hasBusinessKey
        }
    }

    /// Everything about it was settled before the reset: it stands where the code has asked for it and nothing was done.
    private mutating func reopenStep(_ id: OperationID, _ passed: PassedOver, by event: Event) throws {
        guard let step = steps[id] else { return }
        if step.family == .undo {
            if step.hasIntent, passed.endedUndos.contains(step.request.subject) { return undoIsOver(step) }
            doubtAfterLoss(id)
            return enqueue(id)
        }
        if step.phase == .undoing { return }
        if step.phase == .abandoned { return end(id, with: nil) }
        let adoption = adopted(step.request)
        if step.isCancelled {
            if let outcome = adoption?.outcome, !outcome.isForeign, let undo = step.request.undo {
                steps[id]?.keyGeneration = outcome.generation
                try startUndo(of: steps[id] ?? step, undo, output: outcome.output, then: .cancelled, by: event)
            } else {
                end(id, with: .cancelled)
            }
            return
        }
        if let adoption {
            complete(id, step.request, adoption)
            return end(id, with: adoption.answer)
        }
        var fresh = StepOperation(id: id, family: .step, request: step.request, source: id)
        fresh.phase = .released
        fresh.keyGeneration = generations[step.request.subject] ?? 0
        fresh.windowStart = lastEventAt
        fresh.releasedBuild = recordedBuild
        fresh.isQueued = step.isQueued
        steps[id] = fresh
        doubtAfterLoss(id)
        enqueue(id)
    }

    private mutating func reopenChild(_ id: OperationID, _ passed: PassedOver) throws {
        guard let child = children[id], child.phase != .undoing else { return }
        let subject = child.request.subject
        if child.phase == .abandoned { return endChild(id, with: nil) }
        guard child.run != nil else {
            if child.isCancelled { return endChild(id, with: .cancelled) }
            guard let outcome = adopted(child.request) else { return enqueue(id) }
            complete(id, child.request, outcome)
            return endChild(id, with: .value(outcome.output))
        }
        if let end = passed.childEnds[subject] {
            try feedChild(end)
        } else if passed.leftAlone.contains(subject) {
            let message = "child '\(subject)' was left alone before the run was reset; how it ended stands in its own history"
            endChild(id, with: .failure(StepFailure(code: StepFailure.childCancelled, message: message)))
        }
    }

    // MARK: Adopting

    /// How a request is answered at once, because it had happened before the run was reset.
    struct Adoption {
        let answer: Answer
        /// Nil if what had happened is not the same.
        let outcome: Adoptable?
    }

    mutating func adopted(_ request: StepRequest) -> Adoption? {
        guard let outcome = adoptable.removeValue(forKey: request.subject) else { return nil }
        let isSame = outcome.input.map { $0 == request.input || request.accepts($0) } ?? true
        if isSame, request.refusesOutput(outcome.output) == nil {
            return Adoption(answer: .value(outcome.output), outcome: outcome)
        }
        if outcome.hasBusinessKey, request.businessKey != nil {
            let message =
                "'\(request.subject)' had happened with another input, or another kind of result, before the run was reset, and has a "
                + "business key"
            return Adoption(answer: .failure(StepFailure(code: StepFailure.keyConflict, message: message)), outcome: nil)
        }
        generations[request.subject, default: 0] += 1
        return nil
    }

    /// An adopted step can be undone like any other.
    mutating func complete(_ id: OperationID, _ request: StepRequest, _ adoption: Adoption) {
        guard let outcome = adoption.outcome, !outcome.isForeign, let undo = request.undo else { return }
        completed.append(
            CompletedStep(
                id: id, request: request, undo: undo, output: outcome.output, keyGeneration: outcome.generation,
                completedAt: lastSeq))
    }

    /// The output of a child that had completed before the run was reset; of one that nobody waits for, its id.
    mutating func adopted(_ request: ChildRequest) -> Adoptable? {
        guard let outcome = adoptable.removeValue(forKey: request.subject) else { return nil }
        if outcome.input.map({ $0 == request.input || request.accepts($0) }) ?? true { return outcome }
        generations[request.subject, default: 0] += 1
        return nil
    }

    mutating func complete(_ id: OperationID, _ request: ChildRequest, _ outcome: Adoptable) {
        guard let undo = request.undo, !request.isDetached, !outcome.isForeign else { return }
        completed.append(
            CompletedStep(
                id: id, request: request.undone, undo: undo, output: outcome.output, keyGeneration: outcome.generation,
                completedAt: lastSeq))
    }
}
