import DequeModule
import HeapModule
import Perdure
package import PerdureHistory
import PerdureStore

// Feeding events: the only way in which what a run is told changes.
extension RunMachine {
    /// Takes in one durable event. The caller then delivers `answers`, cancels the root task if `rootShouldCancel`, lets the code run
    /// until it rests and calls `rest`.
    package mutating func feed(_ event: Event) throws(Divergence) {
        lastEventAt = event.at
        lastSeq = event.seq
        if event.kind != .runResumed { isWatched = false }
        if event.failedAttempt != nil { hasFailedAttempts = true }
        do {
            if resets.passesOver(event.seq) {
                try passOver(event)
            } else if standIn != nil {
                try takeWithoutCode(event)
            } else {
                try take(event)
            }
            goOnRewinding()
        } catch let error as PayloadError {
            throw Divergence(
                .unreadable, subject: event.subject, message: "Event \(event.seq) (\(event.kind.rawValue)): \(error)")
        } catch let error as Divergence {
            throw error
        } catch {
            throw Divergence(.unreadable, subject: event.subject, message: "Event \(event.seq): \(error)")
        }
    }

    mutating func take(_ event: Event) throws {
        switch event.kind {
        case .runStarted, .runResumed: try feedOwner(event)
        case .runBlocked: isBlockedInHistory = true
        case .runUnblocked: isBlockedInHistory = false
        case .runParked: isParkedInHistory = true
        case .runUnparked: isParkedInHistory = false
        case .runPaused, .runUnpaused, .runRepinned: try feedStandstill(event)
        case .runCancelRequested:
            cancelWasRequested = true
            if try event.attributes.timestamp("deadline") != nil { hasPassedDeadline = true }
            rootShouldCancel = true
            giveUpSuccession()
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: isClosed = true
        case .stepIntended, .undoStarted: try feedIntent(event)
        case .stepAttemptFailed, .undoAttemptFailed: try feedAttemptFailed(event)
        case .stepSucceeded, .undoSucceeded: try feedHappened(event, output: event.output)
        case .stepFailed, .undoFailed: try feedFailed(event)
        case .stepCancelled: try feedStepCancelled(event)
        case .stepInDoubt, .undoInDoubt: try feedInDoubt(event)
        case .stepResolved, .undoResolved: try feedResolved(event)
        case .approvalRequested, .approvalDecided, .approvalExpired, .approvalConsumed, .approvalCancelled, .approvalVoided:
            try feedApproval(event)
        case .timerStarted, .timerFired, .timerCancelled: try feedTimer(event)
        case .questionAsked, .questionAnswered, .questionExpired, .questionCancelled: try feedQuestion(event)
        case .signalReceived: try feedSignal(event)
        case .operatorAction: try feedOperatorAction(event)
        case .childStarted, .childCancelRequested, .childCompleted, .childFailed, .childCancelled: try feedChild(event)
        case .signalUndelivered: break
        case .statusReported, .labelsChanged: try feedNote(event)
        case .versionPatched: feedPatch(event)
        case .updateReceived: try feedUpdate(event)
        case .updateCompleted, .updateRejected: try feedReply(event)
        case .runReset: try feedReset(event)
        case .runForked: try feedForked(event)
        case .runRestored: try feedRestored(event)
        case .runLossSettled: lostPart = nil
        case .runExpired, .runSealed, .approvalEscalated:
            throw Divergence(
                .unreadable, subject: event.subject,
                message:
                    "Event \(event.seq) is of kind '\(event.kind.rawValue)', which this release does not know how to replay. "
                    + "Run it with the release that wrote it, or a later one.")
        }
    }

    private mutating func feedOwner(_ event: Event) throws {
        let attributes = try event.attributes.object()
        let isTakeover = attributes["clean"]?.boolValue == false, node = attributes["node"]?.stringValue ?? ""
        // An owner may say more than once that it has the run.
        let isNewOwner = isTakeover || node != recordedNode
        recordedBuild = attributes["build"]?.stringValue ?? ""
        recordedNode = node
        isWatched = attributes["watched"]?.boolValue ?? false
        if event.kind == .runStarted {
            starter = attributes["by"].flatMap(Principal.init)
            parent = attributes["parent"].flatMap(ParentLink.init)
            if let version = attributes["version"]?.stringValue { goOn(as: version) }
            key = attributes["key"]?.stringValue
            firstOfChain = attributes["continues"].flatMap(ContinuedRun.init)?.first ?? identity.id
            place = attributes["queue"].flatMap(QueuePlace.init)
            changeLabels(attributes)
            if let origin = attributes["fork"].flatMap(ForkOrigin.init) {
                copiedUntil = origin.copied
                forks = origin.earlier + [ForkOrigin.Earlier(run: identity.id, copied: origin.copied)]
            }
            deadline = attributes.timestamp("deadline")
            if let deadline { wake(.run, at: deadline) }
        }
        if event.kind == .runResumed, isNewOwner { doubtEarlierAttempts(at: event.at, isTakeover: isTakeover) }
        // Whatever is outstanding may be sent by this build from here on.
        for id in steps.keys where steps[id]?.releasedBuild != recordedBuild { steps[id]?.releasedBuild = "" }
    }

    /// The owner before may have sent what was outstanding. It stands in the history, so that nothing that happens later makes it
    /// forgotten. An at-most-once step is put in doubt by an event of its own.
    private mutating func doubtEarlierAttempts(at time: Timestamp, isTakeover: Bool) {
        for id in steps.keys.sorted() {
            guard let step = steps[id], !step.isAtMostOnce, step.wasPerhapsSent(by: time, isTakeover: isTakeover) else {
                continue
            }
            steps[id]?.mayHaveRun = true
            steps[id]?.earlierMayHaveRun = true
            // The attempt was sent by now at the latest.
            steps[id]?.quietAfter = time + step.request.policy.attemptTimeout + step.request.policy.grace
        }
    }

    // MARK: Timers

    private mutating func feedTimer(_ event: Event) throws {
        guard let id = timerIDs[event.subject], let timer = timers[id] else { throw unasked(event) }
        switch event.kind {
        case .timerStarted where timer.phase == .abandoned:
            // Given up while this event was on its way; `timer.cancelled` is still to come.
            enqueue(id)
        case .timerStarted:
            guard timer.phase == .released else { throw unasked(event) }
            let due = try event.attributes.timestamp("due") ?? event.at + timer.duration
            timers[id]?.phase = .started
            timers[id]?.due = due
            if !Mutant.isOn("lose a timer") { wake(id, at: due) }
        case .timerFired where timer.phase == .started:
            forgetTimer(id)
            answers.append((id, .done))
        default:
            // The code gave up the wait while this event was on its way: it ends what is left of it.
            guard timer.phase == .abandoned else { throw unasked(event) }
            forgetTimer(id)
        }
    }

    // MARK: Questions

    private mutating func feedQuestion(_ event: Event) throws {
        guard let id = questionIDs[event.subject], let question = questions[id] else { throw unasked(event) }
        switch (event.kind, question.phase) {
        case (.questionAsked, .abandoned):
            enqueue(id)
        case (.questionAsked, .released):
            questions[id]?.phase = .asked
            if let expires = try event.attributes.timestamp("expires_at") {
                questions[id]?.expires = expires
                wake(id, at: expires)
            }
        case (.questionAnswered, .asked):
            forgetQuestion(id)
            answers.append((id, .value(try event.outputBytes())))
        case (.questionExpired, .asked):
            forgetQuestion(id)
            let failure = StepFailure(code: StepFailure.expired, message: "nobody answered '\(event.subject)' in time")
            answers.append((id, .failure(failure)))
        case (.questionAnswered, .abandoned), (.questionExpired, .abandoned), (.questionCancelled, .abandoned):
            forgetQuestion(id)
        default:
            throw unasked(event)
        }
    }

    // MARK: Signals

    mutating func feedSignal(_ event: Event) throws {
        let payload = try event.inputBytes()
        if let id = signalWaits[event.subject]?.popFirst() {
            signalWaitNames[id] = nil
            answers.append((id, .value(payload)))
        } else {
            let signal = BufferedSignal(payload: payload, origin: try MessageOrigin(event))
            signalBuffer[event.subject, default: []].append(signal)
        }
    }

    // MARK: Interventions

    /// Notes the message that led to an event. Its row may still be unread.
    mutating func heed(_ attributes: JSONObject) {
        if let delivery = attributes["delivery"]?.stringValue { heeded.insert(delivery) }
    }

    private mutating func feedOperatorAction(_ event: Event) throws {
        let attributes = try event.attributes.object()
        if attributes.has("refused") { return }
        heed(attributes)
        if attributes["action"]?.stringValue == InboxKind.reset.rawValue { return try feedResetBegins(event, attributes) }
        guard attributes["action"]?.stringValue == "retry" else { return }
        guard let step = stuckStep(event.subject) else { return }
        let id = step.id
        steps[id]?.forgivenAttempts = step.failedAttempts
        steps[id]?.isAttemptIntended = false
        steps[id]?.doubt = nil
        // Under its key it may be sent again whatever was lost; what must not be repeated is still asked about.
        if !step.isAtMostOnce { steps[id]?.mayHaveBeenLost = false }
        if step.isOutsideWindow(at: event.at) {
            // Whoever sends it again now, although the other side may have forgotten the key, answers for what was before.
            steps[id]?.earlierMayHaveRun = false
            steps[id]?.windowStart = event.at
        } else if step.phase == .deadLetter, !step.earlierMayHaveRun {
            steps[id]?.windowStart = event.at
        }
        try move(id, to: .released, by: event)
        enqueue(id)
    }

    // MARK: Divergence

    /// The event does not belong to anything the code has asked for.
    func unasked(_ event: Event) -> Divergence {
        let asked = openSubjects.prefix(5).joined(separator: ", ")
        let code = asked.isEmpty ? "the code asks for nothing at this point" : "the code asks for \(asked)"
        return Divergence(
            .mismatch, subject: event.subject,
            message: "Event \(event.seq) is \(event.kind.rawValue) of '\(event.subject)', but \(code). \(Divergence.waysOut)")
    }

    /// What the code waits for, in the order in which it asked.
    package var openSubjects: [String] {
        var subjects: [(OperationID, String)] = []
        for (id, step) in steps { subjects.append((id, "\(step.family == .undo ? "undo of " : "")'\(step.request.subject)'")) }
        for (id, timer) in timers { subjects.append((id, "timer '\(timer.subject)'")) }
        for (id, question) in questions { subjects.append((id, "question '\(question.request.subject)'")) }
        for (id, name) in updates.names { subjects.append((id, "update '\(name)'")) }
        for (id, note) in notes { subjects.append((id, "\(note.kind.rawValue) '\(note.subject)'")) }
        for (id, child) in children { subjects.append((id, "child '\(child.request.subject)'")) }
        for (id, name) in signalWaitNames { subjects.append((id, "signal '\(name)'")) }
        return subjects.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
