import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

/// With whom an engine shares its circuits, and when it speaks with them.
package final class CircuitExchange: Sendable {
    let store: any Store
    let sharing: CircuitBreaker.Sharing
    let alarm: Scheduler.Alarm
    /// Rings when there is something to tell, or to look at.
    let bell = Bell()
    /// Looks are no answer to each delivery that is heard of.
    let pace = Pace(.milliseconds(500))

    /// - Parameter leave: How long the others wait for a node that tries a resource and says nothing more.
    init(_ store: any Store, namespace: String, node: NodeID, leave: Duration, alarm: Scheduler.Alarm) {
        self.store = store
        self.alarm = alarm
        sharing = CircuitBreaker.Sharing(namespace: namespace, node: node, leave: leave)
    }
}

/// What an engine keeps in mind of the circuits that the store has.
struct SharedCircuits {
    enum Knowledge { case none, asked, there }

    /// Nothing is asked of the store before the first step names a resource.
    var knowledge = Knowledge.none
    /// Who waits for the first look: a process that has just started knows nothing of what the others do.
    var waiting: [(name: String, ticket: ResourceGate.Ticket)] = []
    /// By the resources' names.
    var rows: [String: CircuitRow] = [:]
    var wantsLook = false
    /// Whether the store did not answer the last time. Said once for as long as it lasts.
    var isCutOff = false

    /// Has somebody wait for the first look. Returns whether nobody has before.
    mutating func wait(_ ticket: ResourceGate.Ticket, _ name: String) -> Bool {
        waiting.append((name, ticket))
        wantsLook = true
        defer { knowledge = .asked }
        return knowledge == .none
    }
}

// Sharing circuits with other nodes. One task speaks with the store, one thing after the other, so that no answer is older than the one
// before it. Nothing here holds up a step for longer than a moment: what cannot be asked is decided by what is known.
extension Resources {
    /// How long a step waits for what the store says.
    static let patience = Duration.seconds(2)
    private static let untilNextAttempt = Duration.seconds(1)

    /// Somebody else has changed something in the store.
    func ringOutside() {
        let isOfUse = state.withLock { state in
            guard state.circuits.knowledge != .none else { return false }
            state.circuits.wantsLook = true
            return true
        }
        if isOfUse { exchange?.bell.ring() }
    }

    /// Tells other nodes of circuits and hears of theirs, until its task is cancelled.
    func keepCircuits(_ exchange: CircuitExchange) async {
        for await _ in exchange.bell.rings {
            if Task.isCancelled { break }
            let isThere = await tellOthers(exchange)
            if state.withLock({ $0.circuits.wantsLook }) {
                if exchange.pace.allows(clock, orRings: exchange.bell, by: scheduler), isThere { await look(exchange) }
            }
            setAlarm(exchange)
        }
        // What somebody was let through for may have ended with the engine: the others need not wait for the end of its leave.
        await tellOthers(exchange)
    }

    // MARK: Telling

    /// Returns whether the store has answered.
    @discardableResult
    private func tellOthers(_ exchange: CircuitExchange) async -> Bool {
        let now = clock.now()
        for name in state.withLock({ $0.gates.filter { $0.value.circuit?.hasNews(at: now) == true }.keys.sorted() }) {
            while let change = nextChange(name) {
                do throws(StoreError) {
                    answered(try await exchange.store.setCircuit(change), to: change, of: name)
                } catch {
                    cutOff(exchange, error)
                    return false
                }
            }
        }
        return true
    }

    private func nextChange(_ name: String) -> CircuitChange? {
        let now = clock.now()
        return state.withLock { state in
            var next: CircuitChange?
            // What it closes is forgotten, which is no news of the resource.
            var ignored = Aftermath()
            change(name, &state, &ignored) { gate in
                next = gate.nextChange(now: now, stamp: Int64(bitPattern: random()))
                return []
            }
            return next
        }
    }

    private func answered(_ answer: CircuitAnswer, to change: CircuitChange, of name: String) {
        let now = clock.now()
        let aftermath = state.withLock { state -> Aftermath in
            var aftermath = Aftermath()
            // A gate that goes with this and is made anew must not take what was seen before for what stands there.
            switch answer {
            case .made: state.circuits.rows[change.key.resource] = change.row
            case .refused(let current): state.circuits.rows[change.key.resource] = current
            }
            self.change(name, &state, &aftermath) { $0.answered(answer, to: change, now: now) }
            return aftermath
        }
        finish(aftermath, isQuiet: true)
        noteReached()
    }

    /// Who tells others of what is news does not ring for itself.
    private func finish(_ aftermath: Aftermath, isQuiet: Bool) {
        var aftermath = aftermath
        if isQuiet { aftermath.hasNews = false }
        finish(aftermath)
    }

    // MARK: Looking

    /// Whether the first who ask have to wait until it is known what the other nodes have said.
    func waitsForLook(_ name: String) -> Bool { exchange != nil && (limits[name] ?? ResourceLimits()).circuit != nil }

    private func look(_ exchange: CircuitExchange) async {
        state.withLock { $0.circuits.wantsLook = false }
        let rows: [CircuitRow]
        do throws(StoreError) {
            rows = try await exchange.store.circuits(namespace: exchange.sharing.namespace)
        } catch {
            state.withLock { $0.circuits.wantsLook = true }
            return cutOff(exchange, error)
        }
        noteReached()
        let now = clock.now()
        let (aftermath, forgotten) = state.withLock { state in
            var aftermath = Aftermath()
            state.circuits.rows = Dictionary(rows.map { ($0.key.resource, $0) }) { first, _ in first }
            for name in state.gates.keys.sorted() {
                let row = state.circuits.rows[Name.normalized(name)]
                change(name, &state, &aftermath) { $0.saw(row, now: now) }
            }
            letIn(&state, &aftermath)
            let used = Set(state.gates.keys.map(Name.normalized))
            return (aftermath, rows.filter { $0.until + CircuitBreaker.oblivion <= now && !used.contains($0.key.resource) })
        }
        finish(aftermath)
        for row in forgotten { await forget(row, exchange) }
    }

    /// Nobody here uses the resource, and nobody else has touched its row for long.
    private func forget(_ row: CircuitRow, _ exchange: CircuitExchange) async {
        // Should it fail, the next look comes upon it again.
        guard case .made? = try? await exchange.store.setCircuit(CircuitChange(row.key, on: row.stamp, to: nil)) else { return }
        state.withLock { state in
            if state.circuits.rows[row.key.resource] == row { state.circuits.rows[row.key.resource] = nil }
        }
    }

    /// Those who waited for the first look ask again.
    private func letIn(_ state: inout State, _ aftermath: inout Aftermath) {
        state.circuits.knowledge = .there
        defer { state.circuits.waiting = [] }
        for (name, ticket) in state.circuits.waiting {
            if let callback = state.take(ticket, name) { aftermath.told.append((callback, false)) }
        }
    }

    // MARK: A store that does not answer

    /// A step that waits for the store's answer goes on without it after a moment.
    func limitWait(_ name: String, _ ticket: ResourceGate.Ticket) {
        scheduler.schedule(after: Self.patience) { [weak self] in self?.goOnAlone(name, ticket) }
    }

    /// Lets those go on who wait for the store's answer: all, or one of them and all that wait for the first look.
    private func goOnAlone(_ only: String? = nil, _ ticket: ResourceGate.Ticket? = nil) {
        let now = clock.now()
        let aftermath = state.withLock { state -> Aftermath in
            var aftermath = Aftermath()
            if state.circuits.knowledge == .asked { letIn(&state, &aftermath) }
            for name in only.map({ [$0] }) ?? state.gates.keys.sorted() {
                guard let asking = state.gates[name]?.circuit?.asking, ticket == nil || asking == ticket else { continue }
                change(name, &state, &aftermath) { $0.goOnAlone(asking, now: now) }
            }
            return aftermath
        }
        finish(aftermath, isQuiet: true)
    }

    private func cutOff(_ exchange: CircuitExchange, _ error: StoreError) {
        goOnAlone()
        let isFirst = state.withLock { state in
            defer { state.circuits.isCutOff = true }
            return !state.circuits.isCutOff
        }
        if isFirst {
            logger.warning("circuits cannot be shared with other nodes for now", metadata: ["error": "\(error)"])
        }
        scheduler.schedule(after: Self.untilNextAttempt) { [exchange] in exchange.bell.ring() }
    }

    private func noteReached() {
        let wasCutOff = state.withLock { state in
            defer { state.circuits.isCutOff = false }
            return state.circuits.isCutOff
        }
        if wasCutOff { logger.notice("circuits are shared with other nodes again") }
    }

    // MARK: Time

    private func setAlarm(_ exchange: CircuitExchange) {
        let next = state.withLock { $0.gates.values.compactMap { $0.circuit?.nextTelling }.min() }
        guard let next else { return scheduler.switchOff(exchange.alarm) }
        scheduler.set(exchange.alarm, at: next) { [exchange] in exchange.bell.ring() }
    }
}
