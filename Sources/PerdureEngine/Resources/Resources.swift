import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// The gates of all other sides that the steps of one engine have named.
package final class Resources: Sendable {
    private struct State {
        var gates: [String: ResourceGate] = [:]
        /// Whom to tell that a queued ticket's turn has come.
        var callbacks: [String: [ResourceGate.Ticket: @Sendable (Bool) -> Void]] = [:]
        var scheduled: [String: Timestamp] = [:]
    }

    private let limits: [String: ResourceLimits]
    private let clock: any EngineClock
    private let random: @Sendable () -> UInt64
    private let scheduler: Scheduler
    private let logger: Logger
    private let metrics: EngineMetrics
    private let state = Mutex(State())

    init(
        _ limits: [String: ResourceLimits], clock: any EngineClock, random: @escaping @Sendable () -> UInt64,
        scheduler: Scheduler,
        logger: Logger, metrics: EngineMetrics
    ) {
        self.limits = limits
        self.clock = clock
        self.random = random
        self.scheduler = scheduler
        self.logger = logger
        self.metrics = metrics
    }

    /// Asks for leave to begin an attempt.
    ///
    /// - Parameter callback: If the answer is `queued`: called once, on any thread, with whether the attempt may begin; if not, it has to
    ///   ask again.
    func ask(_ name: String, _ ticket: ResourceGate.Ticket, callback: @escaping @Sendable (Bool) -> Void) -> ResourceGate.Answer {
        let now = clock.now(), random = Double(random() >> 11) * 0x1p-53
        let answer = state.withLock { state in
            let answer = state.gates[name, default: ResourceGate(limits: limits[name] ?? ResourceLimits())]
                .ask(ticket, now: now, random: random)
            if answer == .queued { state.callbacks[name, default: [:]][ticket] = callback }
            return answer
        }
        if answer == .queued { watch(name) }
        return answer
    }

    func end(_ name: String, _ ticket: ResourceGate.Ticket, _ outcome: ResourceGate.Outcome) {
        let now = clock.now()
        let (told, isOpen) = state.withLock { state -> ([(@Sendable (Bool) -> Void, Bool)], Bool?) in
            guard var gate = state.gates[name] else { return ([], nil) }
            let wasOpen = gate.isOpen
            state.callbacks[name]?[ticket] = nil
            let admitted = gate.end(ticket, outcome, now: now), dismissed = gate.dismiss()
            state.gates[name] = gate.isIdle && limits[name] == nil ? nil : gate
            let told = admitted.map { ($0, true) } + dismissed.map { ($0, false) }
            return (told.compactMap { take($0.0, $0.1, name, &state) }, gate.isOpen == wasOpen ? nil : gate.isOpen)
        }
        if let isOpen { say(name, isOpen) }
        for (callback, mayBegin) in told { callback(mayBegin) }
        watch(name)
    }

    private func take(
        _ ticket: ResourceGate.Ticket, _ mayBegin: Bool, _ name: String, _ state: inout State
    ) -> (@Sendable (Bool) -> Void, Bool)? {
        state.callbacks[name]?.removeValue(forKey: ticket).map { ($0, mayBegin) }
    }

    private func say(_ name: String, _ isOpen: Bool) {
        if isOpen {
            metrics.circuitsOpened.increment()
            logger.warning("a resource keeps failing and is left alone for a while", metadata: ["resource": "\(name)"])
        } else {
            logger.notice("a resource answers again", metadata: ["resource": "\(name)"])
        }
    }

    /// Comes back when the rate lets the next one through.
    private func watch(_ name: String) {
        let next = state.withLock { state -> Timestamp? in
            guard let next = state.gates[name]?.nextAdmission, state.scheduled[name].map({ $0 > next }) ?? true else {
                return nil
            }
            state.scheduled[name] = next
            return next
        }
        guard let next else { return }
        scheduler.schedule(at: next) { [weak self] in self?.admit(name, scheduledAt: next) }
    }

    private func admit(_ name: String, scheduledAt time: Timestamp) {
        let now = clock.now()
        let told = state.withLock { state -> [(@Sendable (Bool) -> Void, Bool)] in
            if state.scheduled[name] == time { state.scheduled[name] = nil }
            let admitted = state.gates[name]?.admit(now: now) ?? []
            return admitted.compactMap { take($0, true, name, &state) }
        }
        for (callback, mayBegin) in told { callback(mayBegin) }
        watch(name)
    }
}
