import Foundation
import Perdure
import PerdureHistory
import PerdureStore

// A run that is to stand still, because it is paused or goes on with other code. Nothing more is started; what is under way ends and is
// recorded; then one commit says why the run stands still and gives it up. Messages that are not about this wait in the inbox.
extension RunMachine {
    /// Whether a fact has to wait until the run goes on, here or elsewhere. It must not be taken in meanwhile: it may let the code run.
    package func holds(_ fact: Fact) -> Bool {
        if isPaused || hasStoodDown || batch.hasReset { return true }
        guard let standstill, termination == nil else { return false }
        switch fact {
        case .attemptEnded, .probeEnded, .keyHeld, .survived: return false
        case .due: return true
        case .inbox(let row):
            if row.number == standstill.number { return false }
            switch row.delivery.kind {
            case .terminate, .resolve, .unreadable: return false
            // Behind a pause that this batch begins and ends they are words about the next one.
            case .pause, .unpause: return batch.hasWithdrawnPause || standstill.delivery.kind != .pause
            case .signal, .update, .decision, .answer, .cancel, .retry, .repin, .reset, .settleLoss, .keySettled, .childResult:
                return true
            }
        }
    }

    /// Whether facts that were held back have to wait on.
    package var isHolding: Bool { standstill != nil && termination == nil }

    /// Remembers a `pause` or `repin` that can be done. It stays unread until it is.
    mutating func takesAsStandstill(_ row: InboxRow) -> Bool {
        if let standstill { return standstill.number == row.number }
        switch row.delivery.kind {
        case .pause where !batch.hasWithdrawnPause: break
        case .repin where row.otherVersion(than: identity.version) != nil: break
        default: return false
        }
        standstill = row
        return true
    }

    /// A pause that is ended before it took effect was one all the same.
    mutating func withdrawPause(_ row: InboxRow, into drafts: inout Drafts) {
        guard let standstill, !batch.hasWithdrawnPause else {
            drafts.events.append(row.refusal(.runNotPaused, "the run is not paused"))
            return
        }
        batch.hasWithdrawnPause = true
        drafts.consumed.append(standstill.number)
        drafts.events += [standstill.paused, row.unpaused]
    }

    /// The run ends before it stands still.
    func declineStandstill(into drafts: inout Drafts) {
        guard let standstill else { return }
        drafts.consumed.append(standstill.number)
        drafts.events.insert(standstill.refusal(.runTerminated, "the run is being terminated"), at: 0)
    }

    mutating func planStandstill(_ row: InboxRow, now: Timestamp, into plan: inout Plan) {
        // What has come about is fed first: it may have ended what is under way.
        if batch.hasDrafts { return }
        for id in queue {
            guard let step = steps[id] else { continue }
            let isDispatched = step.phase == .intended && step.isIntentUnsent
            let isGivenUp = step.phase == .running && step.isCancelled
            // An intent that is durable counts as sent: after a restart nobody could tell that it was not.
            if isDispatched || isGivenUp { planStep(step, now: now, into: &plan) }
        }
        for id in bodiesToStop { plan.actions.append(.tellBodyToStop(id)) }
        if plan.drafts.isEmpty, plan.actions.isEmpty, !isBusy { standStill(row, now: now, into: &plan) }
        guard !plan.drafts.isEmpty else { return }
        plan.defersActions = !plan.actions.isEmpty
        plan.actions = []
        plan.drafts.events.insert(contentsOf: opening(), at: 0)
    }

    private mutating func standStill(_ row: InboxRow, now: Timestamp, into plan: inout Plan) {
        plan.drafts.consumed.append(row.number)
        for step in steps.keys.sorted().compactMap({ steps[$0] }) where step.mayHaveLeftNoTrace {
            leaveTrace(of: step, now: now, into: &plan)
        }
        if let version = row.otherVersion(than: identity.version) {
            plan.drafts.events.append(row.repinned(from: identity.version, to: version))
            plan.transition = RunTransition(to: .ready, version: version)
        } else {
            plan.drafts.events.append(row.paused)
            plan.transition = RunTransition(to: .paused, note: row.pauseNote)
        }
    }

    /// What an owner that died, or a part that is lost, may have sent without a trace has to be known to whatever code comes next. An
    /// intent takes the business key as any other does; and of what may not be sent again before somebody has had a word it is no
    /// permission.
    private mutating func leaveTrace(of step: StepOperation, now: Timestamp, into plan: inout Plan) {
        if !step.isToBeDoubted {
            planIntent(step, now: now, into: &plan)
        } else if ownerMissing(for: step) == nil {
            planDoubtOfLost(step, .lost, now: now, into: &plan)
        }
    }

    mutating func feedStandstill(_ event: Event) throws {
        standstill = nil
        switch event.kind {
        case .runPaused: isPaused = true
        case .runUnpaused:
            isPaused = false
            heed(try event.attributes.object())
        default:
            if let version = try event.attributes.object()["to"]?.stringValue { goOn(as: version) }
            // Whether the other version fits is found when its code replays the history.
            isBlockedInHistory = false
            // What is sent again may have another body there, as with another build.
            for id in steps.keys { steps[id]?.releasedBuild = "" }
            hasStoodDown = !isReplaying
        }
    }
}

// What a pause, its end, and a change of version leave in the history.
extension InboxRow {
    var paused: EventDraft { EventDraft(.runPaused, attributes: attributes(("reason", reason.map(JSONValue.string)))) }
    var unpaused: EventDraft { EventDraft(.runUnpaused, attributes: attributes()) }

    func repinned(from: String, to: String) -> EventDraft {
        EventDraft(.runRepinned, attributes: attributes(("from", .string(from)), ("to", .string(to))))
    }

    /// What people read beside the state.
    var pauseNote: String { RunStanding.Pause(by: delivery.sender, reason: reason).note }

    private var reason: String? { delivery.payload.flatMap { try? JSONValue.parse($0, what: "a reason") }?.stringValue }

    /// The version that a `repin` names, unless it cannot be one or is this one.
    func otherVersion(than version: String) -> String? {
        guard delivery.kind == .repin, let payload = delivery.payload,
            let name = (try? JSONValue.parse(payload, what: "a version"))?.stringValue,
            name != version, WorkflowVersion(name).isValid
        else { return nil }
        return name
    }

    /// Why a `repin` that names no other version is not done.
    func refusalOfRepin(from version: String) -> EventDraft {
        refusal(.usage, "the run is on version \(version) already, or what was sent is no version")
    }
}

extension InboxKind {
    /// Whether the message ends what the run's code does here, so that the code need not be brought in for it.
    var makesStandstill: Bool { [.terminate, .pause, .repin, .reset].contains(self) }
}
