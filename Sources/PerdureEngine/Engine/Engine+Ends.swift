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
        case .replied(let updates):
            return waiters.wake(activation.identity.id, updates: updates)
        case .harmless:
            return clearSuspect(activation.number)
        case .closed(let runState, _, let atFirstAttempt):
            metrics.countEnd(of: activation.identity.workflow, atFirstAttempt: atFirstAttempt)
            state.withLock { $0.table.remove(activation) }
            logger.debug("run closed", metadata: ["run": "\(activation.identity.id)", "state": "\(runState.rawValue)"])
            wakeWaiters(of: activation.identity.id)
            // It may have left a place in a queue.
            admissions.ringIfAny()
        case .lost:
            state.withLock { $0.table.remove(activation) }
            reload(activation.identity.id)
        case .blocked:
            state.withLock { $0.table.remove(activation) }
            // A message may have come that needs no code, and others may have been told of a key.
            bell.ring()
        case .gone:
            state.withLock { $0.table.remove(activation) }
        case .stoodDown:
            state.withLock { $0.table.remove(activation) }
            // A message may have come that ends the pause, and the code of the other version may be here.
            bell.ring()
        }
        clearSuspect(activation.number)
        checkDrained()
        if state.withLock({ $0.isSaturated }) { bell.ring() }
    }

    /// Looks what the store makes of a run that memory and store disagree about. What this node still owns is read again; what it does
    /// not own is somebody else's.
    func reload(_ id: RunID) {
        beginGivingBack()
        configuration.runtime.spawn { [self] in
            do {
                try await reloadNow(id)
                endGivingBack()
            } catch {
                logger.error("a run cannot be read again", metadata: ["run": "\(id)", "error": "\(error)"])
                // At shutdown it is left to whoever opens the store next.
                guard state.withLock({ $0.phase == .running }) else { return endGivingBack() }
                scheduler.schedule(after: .seconds(1)) { [self] in
                    reload(id)
                    endGivingBack()
                }
            }
        }
    }

    private func reloadNow(_ id: RunID) async throws(StoreError) {
        guard let record = try await store.run(id), record.owner == node, let head = try await head(of: record),
            // It may have been claimed and brought in anew meanwhile.
            state.withLock({ $0.table[record.number] == nil })
        else { return bell.ring() }
        try await confirmLease()
        let claim = ClaimedRun(record: record, previous: record.state, head: head, isTakeover: true)
        try await load(claim, services)
        noteRecovery(of: claim)
    }

    /// A node that has ended still stands in the rows of its runs until others take them, and nothing it commits for them is taken. It
    /// would read them again without end.
    ///
    /// - Throws: `StoreError.leaseLost`.
    private func confirmLease() async throws(StoreError) {
        guard store.leaseLength != nil else { return }
        // Nodes that have ended meanwhile have left runs behind.
        if try await !store.renew(node).isEmpty { bell.ring() }
    }

    private func head(of record: RunRecord) async throws(StoreError) -> ChainHead? {
        try await store.events(of: record.number, before: .max, limit: 1).first.map(ChainHead.init(after:))
    }

    // MARK: Shutdown

    /// Gives what is under way its time to end. Called as soon as shutdown begins: what is being read may wait for the store as well.
    func beginGrace() { scheduler.schedule(after: configuration.shutdownGrace) { [weak self] in self?.endGrace() } }

    /// Waits until the runs in memory have come to rest, or the grace is over; then hands over what is left.
    func drain() async {
        let isIdle = state.withLock { state in
            state.phase = .draining
            return state.isDrained
        }
        // Those that stay only because they are due in a moment need not.
        lead.end()
        for activation in state.withLock({ $0.table.owned }) { activation.post(.wake) }
        if !isIdle {
            logger.info("engine drains", metadata: ["grace": "\(configuration.shutdownGrace)"])
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.isDrained { return true }
                    state.drained = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        }
        for activation in state.withLock({ $0.table.all }) { activation.post(.leave) }
    }

    /// Tells the shutdown that nothing is left to wait for, if that is so.
    func checkDrained() {
        let drained = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.phase == .draining, state.isDrained else { return nil }
            defer { state.drained = nil }
            return state.drained
        }
        drained?.resume()
    }

    /// A run that is owned is neither in memory nor on its way there, but will be given back: shutdown waits for it.
    func beginGivingBack() { state.withLock { $0.givingBack += 1 } }

    func endGivingBack() {
        state.withLock { $0.givingBack -= 1 }
        checkDrained()
    }

    /// What still runs is handed over. A store that takes nothing at this point is not waited for: what it did not take is found again
    /// by whoever opens it next, as after a death.
    private func endGrace() {
        journal.stopRetrying()
        for activation in state.withLock({ $0.table.owned }) { activation.post(.handOver) }
    }
}
