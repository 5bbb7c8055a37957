import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Runs whose processes died. When a process dies, every run that it owned has a death on record, whichever of them was to blame. After
// the second one each of them is a suspect: it is brought in alone among its like, and history says so before any of its code
// runs. A further death counts only against the one that was watched at that moment. What lives long enough, comes to rest or
// makes progress is watched no longer, which history says as well, before the next suspect is brought in.
extension Engine {
    /// How long a suspect is watched. A run that traps does so soon after it was brought in; one that takes its time is watched longer each
    /// time that a process dies.
    static func watch(deaths: Int) -> Duration { .seconds(2 << min(deaths - RunStanding.sharedDeaths, 10)) }

    /// Whether the suspect's turn has come. If not it is given back for a while: nobody owns it until then, so that the next death is not
    /// counted against a run that was never started.
    func isTurn(of claim: ClaimedRun, deaths: Int) -> Bool {
        let number = claim.record.number
        let place = state.withLock { state -> Int? in
            guard claim.isTakeover || (state.activeSuspect ?? number) != number else {
                state.activeSuspect = number
                state.turnedAway = 0
                return nil
            }
            // They come back one after the other.
            if !claim.isTakeover { state.turnedAway += 1 }
            return state.turnedAway
        }
        guard let place else { return true }
        let delay =
            claim.isTakeover
            ? Duration.milliseconds(250 << min(deaths - RunStanding.sharedDeaths, 6)) : Self.watch(deaths: deaths) * place
        if claim.isTakeover {
            logger.warning(
                "a run was owned by processes that died; it is restarted alone",
                metadata: ["run": "\(claim.record.id)", "deaths": "\(deaths)", "delay": "\(delay)"])
        }
        giveBack(claim, to: RunTransition(to: .waiting, wakeAt: clock.now() + delay), rings: false)
        return false
    }

    /// The same for a run that is to be undone without its code. Its unread message is reason enough to claim it again, so that it needs no
    /// time to come back at, only somebody who looks.
    func isTurn(ofStandIn claim: ClaimedRun, deaths: Int, home: RunTransition) -> Bool {
        let number = claim.record.number
        let isTurn = state.withLock { state in
            guard (state.activeSuspect ?? number) == number else { return false }
            state.activeSuspect = number
            return true
        }
        if isTurn { return true }
        giveBack(claim, to: home, rings: false)
        scheduler.schedule(after: Self.watch(deaths: deaths)) { [bell] in bell.ring() }
        return false
    }

    /// Records that the run is watched from here on. Returns the event, with the claim as it stands after it; `nil` if the run is not this
    /// node's any more.
    func admit(suspect claim: ClaimedRun) async -> (claim: ClaimedRun, event: Event)? {
        let attributes: Attributes = ["build": .string(build), "node": .string(node.rawValue), "watched": true]
        var watched = claim
        let event = watched.head.append(
            EventDraft(.runResumed, attributes: attributes), run: claim.record.id.description, now: store.now())
        let advance = RunAdvance(run: claim.record.number, epoch: claim.record.epoch, head: claim.head, events: [event])
        switch await journal.submit(.advance(advance)) {
        case .advanced?: return (watched, event)
        case nil: clearSuspect(claim.record.number)
        default:
            clearSuspect(claim.record.number)
            reload(claim.record.id)
        }
        return nil
    }

    /// Lets the run go when it was watched long enough.
    func watch(_ activation: Activation, deaths: Int) {
        scheduler.schedule(after: Self.watch(deaths: deaths)) { [weak activation] in activation?.post(.survived) }
    }

    func clearSuspect(_ number: Int64) {
        state.withLock { if $0.activeSuspect == number { $0.activeSuspect = nil } }
    }

    func park(poisoned claim: ClaimedRun, deaths: Int) {
        metrics.poisoned.increment()
        let reason =
            "Its process died \(deaths) times while it owned the run, without anything recorded in between: the code probably traps. "
            + "Deploy code that does not, then retry the run."
        logger.error("a run is poisoned", metadata: ["run": "\(claim.record.id)", "reason": "\(reason)"])
        let draft = EventDraft(.runParked, attributes: ["reason": .string(reason), "poisoned": true, "build": .string(build)])
        giveBack(claim, [draft], to: RunTransition(to: .parked, note: reason, needsRetry: true))
    }
}
