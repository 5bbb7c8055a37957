import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// The gates of all other sides that the steps of one engine have named.
package final class Resources: Sendable {
    typealias Callback = @Sendable (Bool) -> Void

    struct State {
        var gates: [String: ResourceGate] = [:]
        /// Whom to tell that a queued ticket's turn has come.
        var callbacks: [String: [ResourceGate.Ticket: Callback]] = [:]
        var scheduled: [String: Timestamp] = [:]
        var circuits = SharedCircuits()

        /// Whoever waits under this ticket, who is told once.
        mutating func take(_ ticket: ResourceGate.Ticket, _ name: String) -> Callback? {
            defer { if callbacks[name]?.isEmpty == true { callbacks[name] = nil } }
            return callbacks[name]?.removeValue(forKey: ticket)
        }
    }

    /// What is to be done outside of the lock.
    struct Aftermath {
        var told: [(callback: Callback, mayBegin: Bool)] = []
        /// Circuits that have opened or closed, as this node sees it.
        var changed: [(name: String, isOpen: Bool)] = []
        var hasNews = false
    }

    let limits: [String: ResourceLimits]
    let clock: any EngineClock
    let random: @Sendable () -> UInt64
    let scheduler: Scheduler
    let logger: Logger
    private let metrics: EngineMetrics
    /// With whom circuits are shared; `nil` if with nobody.
    let exchange: CircuitExchange?
    let state = Mutex(State())

    init(
        _ limits: [String: ResourceLimits], clock: any EngineClock, random: @escaping @Sendable () -> UInt64,
        scheduler: Scheduler, logger: Logger, metrics: EngineMetrics, exchange: CircuitExchange? = nil
    ) {
        self.limits = limits
        self.clock = clock
        self.random = random
        self.scheduler = scheduler
        self.logger = logger
        self.metrics = metrics
        self.exchange = exchange
    }

    /// Asks for leave to begin an attempt.
    ///
    /// - Parameter callback: If the answer is `queued`: called once, on any thread, with whether the attempt may begin; if not, it has to
    ///   ask again.
    func ask(_ name: String, _ ticket: ResourceGate.Ticket, callback: @escaping Callback) -> ResourceGate.Answer {
        let now = clock.now(), random = Double(random() >> 11) * 0x1p-53
        let (answer, aftermath) = state.withLock { state in
            var aftermath = Aftermath()
            if waitsForLook(name) && state.circuits.knowledge != .there {
                aftermath.hasNews = state.circuits.wait(ticket, name)
                state.callbacks[name, default: [:]][ticket] = callback
                return (ResourceGate.Answer.queued, aftermath)
            }
            var gate = takeGate(name, &state, now: now, &aftermath)
            let answer = gate.ask(ticket, now: now, random: random)
            state.gates[name] = gate
            if answer == .queued { state.callbacks[name, default: [:]][ticket] = callback }
            if gate.circuit?.asking == ticket { aftermath.hasNews = true }
            return (answer, aftermath)
        }
        finish(aftermath)
        guard answer == .queued else { return answer }
        if aftermath.hasNews { limitWait(name, ticket) }
        watch(name)
        return answer
    }

    func end(_ name: String, _ ticket: ResourceGate.Ticket, _ outcome: ResourceGate.Outcome) {
        let now = clock.now()
        let aftermath = state.withLock { state -> Aftermath in
            var aftermath = Aftermath()
            _ = state.take(ticket, name)
            change(name, &state, &aftermath) { gate in gate.end(ticket, outcome, now: now).map { .go($0) } }
            return aftermath
        }
        finish(aftermath)
        watch(name)
    }

    // MARK: Gates

    /// Takes the gate out, to be put back once it is changed: what is in it would be copied otherwise. A new one knows what other nodes
    /// have said of the resource.
    private func takeGate(_ name: String, _ state: inout State, now: Timestamp, _ aftermath: inout Aftermath) -> ResourceGate {
        if let gate = state.gates.removeValue(forKey: name) { return gate }
        var gate = ResourceGate(limits: limits[name] ?? ResourceLimits(), of: name, sharing: exchange?.sharing)
        if let row = state.circuits.rows[Name.normalized(name)] {
            _ = gate.saw(row, now: now)
            if gate.isOpen { aftermath.changed.append((name, true)) }
        }
        return gate
    }

    /// Changes a gate that is there, and sees to what follows: who waits for it, and who has to hear of it.
    func change(
        _ name: String, _ state: inout State, _ aftermath: inout Aftermath,
        _ body: (inout ResourceGate) -> [CircuitBreaker.Verdict]
    ) {
        guard var gate = state.gates.removeValue(forKey: name) else { return }
        let wasOpen = gate.isOpen
        let verdicts = body(&gate), dismissed = gate.dismiss()
        for verdict in verdicts + dismissed.map({ .askAgain($0) }) {
            switch verdict {
            case .go(let ticket): state.take(ticket, name).map { aftermath.told.append(($0, true)) }
            case .askAgain(let ticket): state.take(ticket, name).map { aftermath.told.append(($0, false)) }
            }
        }
        if gate.isOpen != wasOpen { aftermath.changed.append((name, gate.isOpen)) }
        if gate.circuit?.hasNews == true { aftermath.hasNews = true }
        if !gate.isIdle || limits[name] != nil { state.gates[name] = gate }
    }

    func finish(_ aftermath: Aftermath) {
        for (name, isOpen) in aftermath.changed { say(name, isOpen) }
        if aftermath.hasNews { exchange?.bell.ring() }
        for (callback, mayBegin) in aftermath.told { callback(mayBegin) }
    }

    private func say(_ name: String, _ isOpen: Bool) {
        if isOpen {
            metrics.circuitsOpened.increment()
            logger.warning("a resource keeps failing and is left alone for a while", metadata: ["resource": "\(name)"])
        } else {
            logger.notice("a resource answers again", metadata: ["resource": "\(name)"])
        }
    }

    // MARK: Time

    /// Comes back when the rate lets the next one through.
    private func watch(_ name: String) {
        let now = clock.now()
        let next = state.withLock { state -> Timestamp? in
            guard let next = state.gates[name]?.nextAdmission(now: now), state.scheduled[name].map({ $0 > next }) ?? true else {
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
        let told = state.withLock { state -> [Callback] in
            if state.scheduled[name] == time { state.scheduled[name] = nil }
            let admitted = state.gates[name]?.admit(now: now) ?? []
            return admitted.compactMap { state.take($0, name) }
        }
        for callback in told { callback(true) }
        watch(name)
    }
}
