import Perdure
import PerdureHistory
import PerdureStore

// A run that goes on from a history whose end is lost: the store was restored, or a replica took over that was behind. Whatever the run
// asks for from here on may have been sent in the lost part already, and nothing says so.
//
// How long that counts: until a person says that nothing of it is outstanding, else for the rest of the run. In the lost part it may have
// gone another way than it goes now, since reads are made again, and messages are lost like anything else: a cancellation that nobody knows
// of any more may have had it undone. So no event that comes after the mark proves that what is asked for behind it was not sent before:
// neither a timer that was due later nor a message. What is cheap to repeat is repeated under its key; what must not be repeated is asked
// about, by its probe or of a person.
extension RunMachine {
    mutating func feedRestored(_ event: Event) throws {
        try noteLoss(event)
        for id in steps.keys.sorted() {
            guard let phase = steps[id]?.phase else { continue }
            switch phase {
            case .requested, .undoing, .abandoned, .ended: continue
            case .awaitingApproval, .approved:
                // It may have been decided on, and done. What was asked is asked anew, if it turns out not to have happened.
                try move(id, to: .released, by: event)
                steps[id]?.due = nil
            default: break
            }
            doubtAfterLoss(id)
            enqueue(id)
        }
    }

    mutating func noteLoss(_ event: Event) throws {
        let lost = try LostPart(event, after: lostPart)
        lostPart = lost
        lossMark = LossMark(event)
        // Of two marks with one time the later one is above what was made behind the other.
        firstEpoch = max(lost.firstEpoch, firstEpoch + Restoration.epochRise)
    }

    /// Whether a person may have known less of the run when saying that something did not happen, or may be done again, than is known of it
    /// now. What was heeded in a part that is lost stands in the inbox once more, and the attempt that it let through is lost with it.
    func isOutdated(by mark: LossMark?) -> Bool { mark != lossMark }

    /// A person has looked at the other sides: what is asked for from here on was not sent before. What is in doubt already stays so, since
    /// each of those needs its own answer.
    func lossSettled(_ row: InboxRow) -> EventDraft {
        guard lostPart != nil else { return row.refusal(.runNotRestored, "nothing of the run is known to be lost") }
        guard let payload = row.delivery.payload,
            let settlement = try? Payload(bytes: payload).decode(LossSettlement.self, what: "a settlement")
        else {
            return row.refusal(.usage, "the settlement cannot be read")
        }
        // It may have been heeded in a part that is lost now, and stand in the inbox once more.
        if isOutdated(by: settlement.mark) { return row.refusalAfterLoss }
        return EventDraft(
            .runLossSettled,
            attributes: row.attributes(
                ("mark", .integer(settlement.mark.seq)), ("reason", settlement.reason.map(JSONValue.string))))
    }

    /// Notes of a step or undo that is outstanding that the lost part may have sent it.
    mutating func doubtAfterLoss(_ id: OperationID) {
        guard let lostPart, let step = steps[id], !step.isNeverInDoubt else { return }
        steps[id]?.mayHaveBeenLost = true
        steps[id]?.mayHaveRun = true
        steps[id]?.earlierMayHaveRun = true
        // The first sending may have followed at once on the last event that is not lost.
        steps[id]?.windowStart = min(step.windowStart, lostPart.since)
        let quiet = lostPart.until + step.request.policy.attemptTimeout + step.request.policy.grace
        steps[id]?.quietAfter = max(step.quietAfter ?? quiet, quiet)
    }

    /// Says that the step may have happened, with the intent that the lost part may have had: it takes the business key, and people read
    /// the idempotency key from it. Both are one commit, so that nobody takes the intent for one that is to be acted upon.
    mutating func planDoubtOfLost(
        _ step: StepOperation, _ reason: DoubtReason, now: Timestamp, into plan: inout Plan
    ) {
        planIntent(step, now: now, into: &plan)
        if plan.deferred.contains(step.id) { return }
        var intended = step
        intended.isInputRecorded = true
        plan.drafts.events.append(inDoubt(intended, reason))
    }
}
