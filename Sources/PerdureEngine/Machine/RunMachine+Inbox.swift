package import Foundation
import Perdure
import PerdureHistory
package import PerdureStore

/// A person's answer to an approval, as it travels through the inbox.
package struct Decision: Codable, Sendable, Hashable {
    package var isApproved: Bool
    /// The digest of the view that the person saw.
    package var viewDigest: String
    package var reason: String?

    package init(isApproved: Bool, viewDigest: String, reason: String? = nil) {
        self.isApproved = isApproved
        self.viewDigest = viewDigest
        self.reason = reason
    }
}

/// A person's answer to a step in doubt, as it travels through the inbox.
package struct Resolution: Codable, Sendable, Hashable {
    package var kind: ResolutionKind
    /// Canonical JSON of the result, for `happened` and `undo` of a step that has one.
    package var output: Data?
    package var reason: String?
    /// The last mark of a loss that the sender has seen.
    package var mark: LossMark?

    package init(kind: ResolutionKind, output: Data? = nil, reason: String? = nil, mark: LossMark? = nil) {
        self.kind = kind
        self.output = output
        self.reason = reason
        self.mark = mark
    }

    /// It says what did not happen, which what has happened since makes untrue. That something happened stays true.
    package var deniesEffect: Bool { kind == .didNotHappen || kind == .abort }
}

/// A person's wish to have a step tried again, as it travels through the inbox.
package struct StepRetry: Codable, Sendable, Hashable {
    /// The last mark of a loss that the sender has seen.
    package var mark: LossMark?
}

/// What a person has seen to, as it travels through the inbox.
package struct LossSettlement: Codable, Sendable, Hashable {
    /// The mark that the person speaks of.
    package var mark: LossMark
    package var reason: String?
}

// Messages from outside. Each is checked again here, where it becomes a fact: what was told to the sender at the edge is advice.
extension RunMachine {
    mutating func draft(_ row: InboxRow, now: Timestamp, into drafts: inout Drafts) {
        let delivery = row.delivery
        if delivery.kind == .terminate, termination == nil || termination?.number == row.number {
            termination = row
            return
        }
        if termination == nil, rewinding == nil, takesAsStandstill(row) { return }
        drafts.consumed.append(row.number)
        if heeded.contains(delivery.id) { return }
        if delivery.kind == .childResult {
            if let end = ended(row) { drafts.events.append(end) }
            return
        }
        if termination != nil, delivery.kind != .keySettled {
            // Nothing more is begun, so that what comes in cannot put the end off.
            drafts.events.append(row.unheard)
            return
        }
        switch delivery.kind {
        case .signal:
            if Mutant.isOn("drop a delivery") { return }
            let isHeard = mayHearMessages || rewinding != nil
            if Mutant.isOn("deliver twice") { drafts.events.append(row.signal(.signalReceived)) }
            drafts.events.append(row.signal(isHeard ? .signalReceived : .signalUndelivered))
        case .update:
            drafts.events.append(received(row))
        case .cancel where isByParent(delivery.sender):
            // Whatever becomes of the run, nobody says it again.
            batch.hasCancel = true
            drafts.events.append(EventDraft(.runCancelRequested, attributes: row.attributes()))
        case .cancel where rewinding != nil, .pause where rewinding != nil, .repin where rewinding != nil:
            drafts.events.append(row.refusal(.runResetting, "the run is being reset; say it again when that is done"))
        case .reset:
            drafts.events.append(resetBegins(row))
        case .cancel:
            if cancelWasRequested || batch.hasCancel {
                drafts.events.append(row.refusal(.runCancelled, "the run is being cancelled already"))
            } else if !mayHearMessages {
                drafts.events.append(row.refusal(.runClosed, "the workflow has ended already"))
            } else {
                batch.hasCancel = true
                drafts.events.append(EventDraft(.runCancelRequested, attributes: row.attributes()))
            }
        case .decision:
            drafts.events.append(decided(row))
        case .answer:
            drafts.events.append(answered(row))
        case .retry:
            drafts.events.append(retried(row))
        case .resolve:
            draftResolution(row, now: now, into: &drafts)
        case .pause:
            drafts.events.append(row.refusal(.runPaused, "the run is being paused already"))
        case .unpause:
            withdrawPause(row, into: &drafts)
        case .repin:
            drafts.events.append(row.refusalOfRepin(from: identity.version))
        case .settleLoss:
            drafts.events.append(lossSettled(row))
        case .keySettled:
            if let id = stepIDs[delivery.name], let step = steps[id] { stopAwaitingKey(step) }
        case .unreadable:
            drafts.events.append(
                row.refusal(.usage, "the message is damaged, or of a kind that this release does not know; send it again"))
        case .terminate, .childResult:
            break
        }
    }

    /// The run that this one is a child of waits for its end.
    private func isByParent(_ sender: Principal) -> Bool { parent.map { sender == .run($0.run) } ?? false }

    func isByParent(_ attributes: JSONObject) -> Bool { attributes["by"].flatMap(Principal.init).map(isByParent) ?? false }

    /// Whether there is code that may still take a message, be it that of the run that continues this one.
    var mayHearMessages: Bool { rootResult == nil || rootResult == .continued }

    // MARK: Approvals and questions

    private func decided(_ row: InboxRow) -> EventDraft {
        let delivery = row.delivery
        guard let id = stepIDs[delivery.name], let step = steps[id], step.phase == .awaitingApproval else {
            return row.refusal(.approvalClosed, "no approval is open for this step")
        }
        guard let payload = delivery.payload,
            let decision = try? Payload(bytes: payload).decode(Decision.self, what: "a decision")
        else {
            return row.refusal(.approvalMismatch, "the decision cannot be read")
        }
        if let expires = step.due, row.at > expires { return row.refusal(.approvalClosed, "the approval had expired") }
        guard decision.viewDigest == step.approvalDigest || Mutant.isOn("ignore the digest of a decision") else {
            return row.refusal(.approvalMismatch, "the decision names another view than the one that was shown")
        }
        if decision.isApproved, let starter, starter.mayBe(delivery.sender) {
            return row.refusal(.approvalNotPermitted, "who started a run cannot approve its actions")
        }
        return EventDraft(
            .approvalDecided, subject: delivery.name,
            attributes: row.attributes(
                ("approved", .bool(decision.isApproved)), ("view_digest", .string(decision.viewDigest)),
                ("reason", decision.reason.map(JSONValue.string))))
    }

    private func answered(_ row: InboxRow) -> EventDraft {
        guard let id = questionIDs[row.delivery.name], let question = questions[id], question.phase == .asked else {
            return row.refusal(.questionClosed, "this question is not open")
        }
        if let expires = question.expires, row.at > expires { return row.refusal(.questionClosed, "the question had expired") }
        let payload = row.delivery.payload ?? Array("null".utf8)
        if let reason = question.request.refuses(payload) { return row.refusal(.answerInvalid, reason) }
        return EventDraft(.questionAnswered, subject: row.delivery.name, attributes: row.attributes(), output: .inline(payload))
    }

    // MARK: Stuck steps

    private func retried(_ row: InboxRow) -> EventDraft {
        guard let step = stuckStep(row.delivery.name) else {
            return row.refusal(.stepNotStuck, "no step or undo of this name waits for a person")
        }
        guard step.phase == .deadLetter || !step.needsWord else {
            return row.refusal(.stepNotStuck, "this step may have happened and must not be repeated blindly; resolve it")
        }
        // Whoever wants it done again behind its window answers for what was before.
        let mark = row.markOfRetry
        if isOutdated(by: mark) { return row.refusalAfterLoss }
        return EventDraft(
            .operatorAction, subject: row.delivery.name,
            attributes: row.attributes(("action", .string("retry")), ("mark", mark.map { .integer($0.seq) })))
    }

    private mutating func draftResolution(_ row: InboxRow, now: Timestamp, into drafts: inout Drafts) {
        guard let step = stuckStep(row.delivery.name) else {
            drafts.events.append(row.refusal(.stepNotStuck, "no step or undo of this name waits for a person"))
            return
        }
        guard let payload = row.delivery.payload,
            let resolution = try? Payload(bytes: payload).decode(Resolution.self, what: "a resolution")
        else {
            drafts.events.append(row.refusal(.usage, "the resolution cannot be read"))
            return
        }
        if resolution.kind == .abort, rewinding != nil {
            let message = "the run is being reset and does not end; say whether it happened, or terminate the run"
            drafts.events.append(row.refusal(.runResetting, message))
            return
        }
        if resolution.deniesEffect, isOutdated(by: resolution.mark) {
            drafts.events.append(row.refusalAfterLoss)
            return
        }
        if resolution.deniesEffect, let quiet = step.quietAfter, now < quiet {
            drafts.events.append(
                row.refusal(.stepNotStuck, "the last attempt may still act until \(quiet); say that it did not happen after that")
            )
            return
        }
        if resolution.kind == .undo, step.family == .undo || (step.request.undo == nil) {
            drafts.events.append(row.refusal(.stepNotStuck, "this step has no undo"))
            return
        }
        let output = resolution.output.map { Array($0) } ?? Array("{}".utf8)
        let carriesOutput = resolution.kind == .happened || resolution.kind == .undo
        if carriesOutput, step.family == .step, let problem = step.request.refusesOutput(output) {
            drafts.events.append(row.refusal(.answerInvalid, problem))
            return
        }
        let next = afterNothingHappened(to: step, isPerson: true, now: now, random: 0.5)
        var event = resolved(
            step, resolution.kind, by: row.delivery.sender, output: carriesOutput ? output : nil,
            then: resolution.kind == .didNotHappen ? next : .atOnce)
        event.attributes = row.attributes(
            ("resolution", .string(resolution.kind.rawValue)), ("reason", resolution.reason.map(JSONValue.string)),
            ("mark", resolution.mark.map { .integer($0.seq) }),
            ("next", (try? event.attributes.object())?["next"]), ("to_undo", (try? event.attributes.object())?["to_undo"]))
        drafts.events.append(event)
        switch resolution.kind {
        case .happened: settleKey(of: step, happenedWith: output, into: &drafts)
        case .abort: settleKey(of: step, step.family == .undo ? .happened(output: step.undoneOutput) : .free, into: &drafts)
        case .didNotHappen where step.isCancelled || next == .failure: settleKey(of: step, .free, into: &drafts)
        // An effect that is to be undone keeps its key: the undo settles it, or the end of the run does.
        case .didNotHappen, .undo: break
        }
    }

    /// The step or undo of this name that a person can decide on. While an undo is open, its step is not.
    func stuckStep(_ subject: String) -> StepOperation? {
        [undoIDs[subject], stepIDs[subject]].compactMap { $0 }.compactMap { steps[$0] }
            .first { [.deadLetter, .inDoubt, .probing].contains($0.phase) }
    }

    func resolved(
        _ step: StepOperation, _ kind: ResolutionKind, by principal: Principal, output: [UInt8]? = nil,
        then next: Continuation = .atOnce
    ) -> EventDraft {
        var time: Timestamp?
        if case .backingOff(let until) = next { time = until }
        return EventDraft(
            step.kinds.resolved, subject: step.request.subject,
            attributes: Attributes.make(
                ("resolution", .string(kind.rawValue)), ("by", JSONValue(principal)), ("next_at", time.map { JSONValue($0) }),
                ("next", next.name.map(JSONValue.string)),
                ("to_undo", JSONValue.bool(true).when(kind == .happened && isToUndo(step)))),
            output: output.map(StoredValue.inline))
    }

    // MARK: Termination

    /// Ends the run without its code: every open step that may have been dispatched is put in doubt, every other one is cancelled, and
    /// its children are terminated.
    func drafts(for termination: InboxRow) -> Drafts {
        var drafts = Drafts()
        drafts.consumed.append(termination.number)
        for id in steps.keys.sorted() {
            guard let step = steps[id] else { continue }
            switch step.phase {
            case .inDoubt, .probing, .undoing, .requested, .ended:
                // In doubt it stays, probed or not; what is being undone has happened, and its undo is looked at by itself.
                break
            case .abandoned:
                drafts.events.append(EventDraft(.approvalCancelled, subject: step.request.subject))
            case _ where step.family == .undo:
                terminate(undo: step, into: &drafts)
            case _ where step.mayHaveRun && !step.isRead:
                drafts.events.append(inDoubt(step, .terminated))
            default:
                drafts.events.append(stepCancelled(step, isTerminated: true))
                settleKey(of: step, .free, into: &drafts)
            }
        }
        settleWithdrawn(into: &drafts)
        for id in children.keys.sorted() { terminateChild(id, with: termination, into: &drafts) }
        let final = EventDraft(
            .runTerminated,
            attributes: termination.attributes(
                ("reason", termination.delivery.payload.flatMap { try? JSONValue.parse($0, what: "a reason") })))
        drafts.events.append(final)
        tellParent(of: final, into: &drafts)
        return drafts
    }

    /// Whatever came of its attempts, an undo that has begun and that nobody goes on with is a matter for a person. One that has not leaves
    /// the effect as it is.
    private func terminate(undo: StepOperation, into drafts: inout Drafts) {
        if !undo.hasIntent, !undo.mayHaveBeenLost {
            settleKey(of: undo, .happened(output: undo.undoneOutput), into: &drafts)
        } else if undo.phase != .deadLetter {
            drafts.events.append(inDoubt(undo, .terminated))
        }
    }
}
