import CoreMetrics
import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// Runs that leave memory, and those that must not come in.
extension Engine {
    func observe(_ activation: Activation, _ event: ActivationEvent) {
        recovering.heard(event, of: activation.number)
        switch event {
        case .released(let epoch, let wakeAt):
            let leaving = state.withLock { $0.table.idle(activation, epoch: epoch, limit: configuration.cachedRuns) }
            for activation in leaving { activation.post(.leave) }
            if let wakeAt { ringLater(at: wakeAt) }
        case .missedMail, .toldOthers:
            return bell.ring()
        case .replied:
            return wakeWaiters(of: activation.identity.id)
        case .closed(let runState, _):
            metrics.closed.increment()
            state.withLock { $0.table.remove(activation) }
            logger.debug("run closed", metadata: ["run": "\(activation.identity.id)", "state": "\(runState.rawValue)"])
            wakeWaiters(of: activation.identity.id)
        case .lost:
            state.withLock { $0.table.remove(activation) }
            reload(activation.identity.id)
        case .blocked, .gone:
            state.withLock { $0.table.remove(activation) }
        }
        clearSuspect(activation.number)
        let (isSaturated, drained) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.phase == .draining, state.table.ownedCount == 0 else { return (state.isSaturated, nil) }
            defer { state.drained = nil }
            return (false, state.drained)
        }
        drained?.resume()
        if isSaturated { bell.ring() }
    }

    /// Looks what the store makes of a run that memory and store disagree about. What this node still owns is read again; what it does
    /// not own is somebody else's.
    func reload(_ id: RunID) {
        Task { [self] in
            do {
                guard let record = try await store.run(id), record.owner == node, let head = try await head(of: record) else {
                    return bell.ring()
                }
                let claim = ClaimedRun(record: record, previous: record.state, head: head, isTakeover: true)
                try await load(claim, services)
                noteRecovery(of: claim)
            } catch {
                logger.error("a run cannot be read again", metadata: ["run": "\(id)", "error": "\(error)"])
                scheduler.schedule(at: configuration.clock.now() + .seconds(1)) { [weak self] in self?.reload(id) }
            }
        }
    }

    private func head(of record: RunRecord) async throws(StoreError) -> ChainHead? {
        try await store.events(of: record.number, before: .max, limit: 1).first.map(ChainHead.init(after:))
    }

    // MARK: Poison

    /// How long a suspect keeps others of its kind out of memory: a run that traps does so soon after it was brought in.
    private static let suspicion = Duration.seconds(2)

    /// A run that took its process down twice without getting anywhere comes back alone among its like, and later each time. Until then
    /// nobody owns it, so that the next death is not counted against a run that was never started. Returns whether its turn has come.
    func isTurn(of claim: ClaimedRun, deaths: Int) -> Bool {
        let number = claim.record.number
        let isFree =
            !claim.isTakeover
            && state.withLock { state in
                guard state.activeSuspect == nil || state.activeSuspect == number else { return false }
                state.activeSuspect = number
                return true
            }
        let now = configuration.clock.now()
        if isFree {
            scheduler.schedule(at: now + Self.suspicion) { [weak self] in self?.clearSuspect(number) }
            return true
        }
        let delay = Duration.milliseconds(250 << min(deaths - 2, 6))
        if claim.isTakeover {
            logger.warning(
                "a run was owned by processes that died; it is restarted alone",
                metadata: ["run": "\(claim.record.id)", "deaths": "\(deaths)", "delay": "\(delay)"])
        }
        giveBack(claim, to: RunTransition(to: .waiting, wakeAt: now + delay), rings: false)
        return false
    }

    private func clearSuspect(_ number: Int64) {
        state.withLock { if $0.activeSuspect == number { $0.activeSuspect = nil } }
    }

    /// A person lets a poisoned run try again: recorded in a commit of its own, before any of its code runs.
    func unpark(poisoned claim: ClaimedRun, _ row: InboxRow) {
        let retry = EventDraft(.operatorAction, attributes: row.attributes(("action", .string("retry"))))
        giveBack(claim, [retry, EventDraft(.runUnparked)], consumed: [row.number], to: RunTransition(to: .ready))
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

    // MARK: Shutdown

    /// Waits until the runs in memory have come to rest, or the grace is over; then hands over what is left.
    func drain() async {
        let isIdle = state.withLock { state in
            state.phase = .draining
            return state.table.ownedCount == 0
        }
        if !isIdle {
            logger.info("engine drains", metadata: ["grace": "\(configuration.shutdownGrace)"])
            scheduler.schedule(at: configuration.clock.now() + configuration.shutdownGrace) { [weak self] in self?.endGrace() }
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.table.ownedCount == 0 { return true }
                    state.drained = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        }
        for activation in state.withLock({ $0.table.all }) { activation.post(.leave) }
    }

    /// What still runs is handed over. A store that takes nothing at this point is not waited for: what it did not take is found again
    /// by whoever opens it next, as after a death.
    private func endGrace() {
        journal.stopRetrying()
        for activation in state.withLock({ $0.table.owned }) { activation.post(.handOver) }
    }
}
