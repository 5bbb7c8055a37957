import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Runs that are looked after without their code: it is not hosted, does not fit, ends its process, or is never to run again.
extension Engine {
    /// Whether the run's code may be brought in for this claim.
    func mayRun(_ claim: ClaimedRun, _ view: RunView, _ rows: [InboxRow]) -> Bool {
        if claim.record.state == .terminated || view.isPoisoned { return false }
        if claim.previous == .blocked, rows.contains(where: { $0.delivery.kind == .terminate }) { return false }
        // After a death the row no longer tells that the run was blocked. Its history does.
        let wasBlocked = claim.previous == .blocked || claim.isTakeover
        return !(wasBlocked && view.blockedBuilds.contains(build))
    }

    /// Takes in what needs no code and gives the run back.
    func lookAfter(_ claim: ClaimedRun, _ events: [Event], _ rows: [InboxRow]) {
        var caretaker = Caretaker(claim, history: events, now: store.now())
        caretaker.take(rows)
        giveBack(
            claim, caretaker.events, consumed: caretaker.consumed, settles: caretaker.settles,
            to: transition(of: claim, after: caretaker))
    }

    /// Back to where the run stood, unless it ended or can go on now as soon as there is code for it.
    private func transition(of claim: ClaimedRun, after caretaker: Caretaker) -> RunTransition {
        if caretaker.hasTerminated || caretaker.isAfterEnd { return RunTransition(to: .terminated) }
        let view = caretaker.view
        if view.isPoisoned { return RunTransition(to: .parked, note: view.parkedReason, needsRetry: true) }
        if claim.previous == .blocked || claim.isTakeover, let last = view.blockedBuilds.last {
            let isBlockedHere = view.blockedBuilds.contains(build)
            return RunTransition(to: .blocked, note: view.blockedReason, blockedBuild: isBlockedHere ? build : last)
        }
        return caretaker.hasResolved || claim.previous == .running ? RunTransition(to: .ready) : claim.restoring
    }

    /// A person wants a run that takes its process down to try again. That is recorded before its code is brought in, which may end
    /// this process as well: another try takes another word. The deaths are counted anew.
    ///
    /// - Returns: the claim on top of the new events, or `nil` if the run is not ours any more.
    func unpark(_ claim: ClaimedRun, _ rows: [InboxRow]) async -> (claim: ClaimedRun, events: [Event])? {
        let retries = rows.filter(\.isRetryOfRun)
        var drafts = retries.map { EventDraft(.operatorAction, attributes: $0.attributes(("action", .string("retry")))) }
        drafts.append(EventDraft(.runUnparked, attributes: ["build": .string(build), "node": .string(node.rawValue)]))
        var claim = claim
        let before = claim.head
        let events = claim.head.append(contentsOf: drafts, run: claim.record.id.description, now: store.now())
        let advance = RunAdvance(
            run: claim.record.number, epoch: claim.record.epoch, head: before, events: events, consumed: retries.map(\.number))
        switch await journal.submit(.advance(advance)) {
        case .advanced: return (claim, events)
        case nil: return nil
        case let other:
            notGivenBack(claim, other)
            return nil
        }
    }

    // MARK: Giving back

    /// Ends the ownership of a run that is not brought into memory.
    func giveBack(_ claim: ClaimedRun, _ drafts: [EventDraft] = [], to transition: RunTransition) {
        var head = claim.head
        giveBack(claim, head.append(contentsOf: drafts, run: claim.record.id.description, now: store.now()), to: transition)
    }

    func giveBack(
        _ claim: ClaimedRun, _ events: [Event], consumed: [Int64] = [], settles: [BusinessKeySettlement] = [],
        to transition: RunTransition
    ) {
        let advance = RunAdvance(
            run: claim.record.number, epoch: claim.record.epoch, head: claim.head, events: events, transition: transition,
            consumed: consumed, settles: settles)
        journal.submit(.advance(advance)) { [self] result in
            guard case .advanced? = result else { return notGivenBack(claim, result) }
            if transition.state.isFinal { wakeWaiters(of: claim.record.id) }
            // A message that came meanwhile wakes the run anew, and nobody has looked since.
            bell.ring()
        }
    }

    /// More messages have come, or somebody else has the run: it is looked at again. Data that the store will never take leaves the run
    /// with this node until it ends.
    private func notGivenBack(_ claim: ClaimedRun, _ result: CommitResult?) {
        guard let result else { return }
        logger.notice("a run could not be given back", metadata: ["run": "\(claim.record.id)", "result": "\(result)"])
        if case .refused(.invalid) = result { return }
        reload(claim.record.id)
    }
}

extension ClaimedRun {
    /// The way back to where the run stood before the claim.
    var restoring: RunTransition {
        switch previous {
        case .waiting, .parked, .paused, .blocked, .terminated:
            RunTransition(to: previous, wakeAt: previousWakeAt, note: previousNote)
        case .ready, .running, .quarantined, .completed, .failed, .cancelled:
            RunTransition(to: .ready)
        }
    }
}
