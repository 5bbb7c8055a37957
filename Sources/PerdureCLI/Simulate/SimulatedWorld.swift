import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization

/// One seed: its nodes, its people, its other side, from the first start to the last end.
final class SimulatedWorld: Sendable {
    private static let people = "people"
    private static let tick = Duration.milliseconds(50)
    /// More than everything takes that comes to an end at all.
    private static let limit = Duration.seconds(1_200)
    /// What is still on its way when all has closed arrives in this time.
    private static let quiet = Duration.seconds(30)
    private static let turnLimit = 20_000
    static let person = Principal(.human, "simulation")
    /// Whoever has started a run may not approve its actions.
    static let approver = Principal(.human, "approver")

    struct State {
        var started: [Int: RunID] = [:]
        /// Signals that were taken by the store, and those of which nobody knows.
        var signals: [RunID: (sure: Int, unsure: Int)] = [:]
        /// What was said of steps in doubt, by their last event.
        var said: Set<String> = []
        var errands = 0
        var violations: [String] = []
        var decisions = 0
        var stops = 0
        /// What people make of what they are asked.
        var mood: SeededGenerator
        var processes: [SimulatedProcess] = []
        /// How much was done since time has passed.
        var turns = 0
        var time: Timestamp?
    }

    /// One place for a process, and the process that is there.
    private final class Slot {
        let node: SimulationPlan.Node
        var process: SimulatedProcess?
        var lives = 0
        var bootsAt: Timestamp
        var stops: [Timestamp]

        init(_ node: SimulationPlan.Node, _ now: Timestamp) {
            self.node = node
            bootsAt = now
            stops = node.stops.sorted().map { now + .milliseconds($0) }
        }
    }

    let plan: SimulationPlan
    let simulation: Simulation
    let gate: FaultGate
    let peer: SimulatedPeer
    private let database: MemoryDatabase
    private let begin: Timestamp
    let state: Mutex<State>

    init(_ plan: SimulationPlan, tells: Bool) {
        self.plan = plan
        state = Mutex(State(mood: SeededGenerator(seed: plan.seed ^ 0x9D)))
        let simulation = Simulation(seed: plan.seed, limit: .seconds(86_400))
        self.simulation = simulation
        gate = FaultGate(plan, simulation, people: Self.people, tells: tells)
        peer = SimulatedPeer(plan, simulation)
        begin = simulation.now
        database = MemoryDatabase(ownership: plan.lease.map { .leases(.milliseconds($0)) } ?? .exclusive) { simulation.now }
    }

    var violations: [String] { state.withLock { $0.violations } }
    var decisions: Int { state.withLock { $0.decisions } }
    var stops: Int { state.withLock { $0.stops } }
    var signals: [RunID: ClosedRange<Int>] { state.withLock { $0.signals.mapValues { $0.sure...($0.sure + $0.unsure) } } }

    /// A client that nothing happens to.
    func auditor() async throws -> Client { try await Client(.memory(database)) }

    /// Whoever does things without end at one and the same time would keep the simulation from going on.
    private func watch(_ turn: Turn) {
        let endless = state.withLock { state -> [SimulatedProcess] in
            state.turns = state.time == turn.at ? state.turns + 1 : 0
            state.time = turn.at
            guard state.turns == Self.turnLimit else { return [] }
            state.violations.append(
                "\(Self.turnLimit) things were done at the same time, the last by \(turn.process): there is no end to it; "
                    + "the store was called for \(gate.lastCalls)")
            defer { state.processes = [] }
            return state.processes
        }
        for process in endless { gate.crash(process, "it has no end") }
    }

    private func violated(_ words: String) { state.withLock { $0.violations.append(words) } }

    // MARK: Life

    func live() async throws {
        let auditor = try await auditor(), people = simulation.process(Self.people, gate: gate)
        let client = try await Client(people.store(.memory(database)))
        try await setQueue(auditor)
        let slots = plan.nodes.map { Slot($0, simulation.now) }
        var sent: Set<Int> = [], ticks = 0
        simulation.onTurn { [weak self] turn in self?.watch(turn) }
        while true {
            for (index, slot) in slots.enumerated() { try await look(after: slot, index) }
            for order in plan.orders where !sent.contains(order.number) {
                guard let run = state.withLock({ $0.started[order.number] }) else { continue }
                sent.insert(order.number)
                plan(errands: order, to: run, client)
            }
            try await lookAtQueue(auditor)
            ticks += 1
            if ticks.isMultiple(of: 8), try await isOver(auditor, client) { break }
            if simulation.now.duration(since: begin) > Self.limit {
                try await tellWhatIsLeft(auditor)
                break
            }
            try await simulation.sleep(for: Self.tick)
        }
        try await simulation.sleep(for: Self.quiet)
        for slot in slots { await end(slot) }
    }

    // MARK: The queue

    private static let queue = "swarm"

    private func setQueue(_ auditor: Client) async throws {
        guard let queue = plan.queue else { return }
        let rate = queue.interval.map { Rate(1, per: .milliseconds($0)) }
        try await auditor.setQueue(
            Self.queue, limits: QueueLimits(concurrency: queue.concurrency, perKey: queue.perKey, rate: rate), by: Self.person)
    }

    private func lookAtQueue(_ auditor: Client) async throws {
        guard plan.queue != nil else { return }
        for queue in try await auditor.queues() where queue.held > queue.limits.concurrency {
            violated("\(queue.held) runs have places in a queue that has \(queue.limits.concurrency)")
        }
    }

    private func isOver(_ auditor: Client, _ client: Client) async throws -> Bool {
        for problem in try await auditor.guarded({ try await auditor.store.audit() }) { violated("the store: \(problem)") }
        var isOver = state.withLock { $0.errands == 0 && $0.started.count == plan.orders.count }
        let records = try await auditor.guarded { try await auditor.store.runs(RunFilter(limit: 1_000)) }
        try await approve(auditor, client)
        for record in records {
            switch record.state {
            case .parked:
                isOver = false
                try await help(record, auditor, client)
            case .waiting, .running:
                isOver = false
                // Somebody looks now and then at what may still get on by itself.
                if state.withLock({ Int.random(in: 0..<8, using: &$0.mood) == 0 }) { try await help(record, auditor, client) }
            case .terminated: if try await help(record, auditor, client) { isOver = false }
            default: if !record.state.isFinal { isOver = false }
            }
        }
        // Something broken goes on being broken: there is nothing to wait for.
        return isOver || !violations.isEmpty
    }

    private func tellWhatIsLeft(_ auditor: Client) async throws {
        let missing = plan.orders.filter { order in state.withLock { $0.started[order.number] == nil } }.map(\.number)
        if !missing.isEmpty { violated("runs \(missing) were never started") }
        for record in try await auditor.guarded({ try await auditor.store.runs(RunFilter(limit: 1_000)) })
        where !record.state.isFinal {
            violated("\(record.id) does not end: \(record.state.rawValue), \(record.note ?? "no note")")
        }
        if state.withLock({ $0.errands > 0 }) { violated("messages could not be sent") }
        if violations.isEmpty { violated("it does not end, although every run has: steps stay in doubt") }
    }

    // MARK: Nodes

    private func look(after slot: Slot, _ index: Int) async throws {
        if let process = slot.process {
            guard !process.isAlive || process.hasEnded else { return stopIfDue(slot, process) }
            if process.isAlive {
                gate.tell("\(process.name) has ended: \(process.failure.map { "\($0)" } ?? "by itself")")
                process.crash()
            }
            slot.process = nil
            slot.bootsAt = simulation.now + .milliseconds(slot.node.restart)
        }
        guard slot.bootsAt <= simulation.now else { return }
        slot.lives += 1
        let process = simulation.process(
            "node-\(index + 1).\(slot.lives)", skew: .milliseconds(slot.node.skew), gate: gate)
        slot.process = process
        state.withLock { $0.processes.append(process) }
        boot(process, slot.node)
    }

    /// Asks a process to end in order, as a deployment does.
    private func stopIfDue(_ slot: Slot, _ process: SimulatedProcess) {
        guard let due = slot.stops.first, due <= simulation.now else { return }
        slot.stops.removeFirst()
        state.withLock { $0.stops += 1 }
        gate.tell("\(process.name) is asked to end")
        Task(executorPreference: simulation.tests.tasks) { await process.shutDown() }
    }

    private func end(_ slot: Slot) async {
        guard let process = slot.process, process.isAlive else { return }
        await process.shutDown()
        process.crash()
    }

    private func boot(_ process: SimulatedProcess, _ node: SimulationPlan.Node) {
        gate.tell("\(process.name) begins")
        Task(executorPreference: process.tasks) { [self] in
            do {
                let engine = try await engine(process, node)
                guard process.isAlive else { return }
                process.start(engine)
                try await start(engine, process)
            } catch let error as PerdureError where error.code == .engineStopped || !process.isAlive {
                return
            } catch let error as PerdureError where error.code == .storeLocked {
                // The one before has not let go yet.
                process.crash()
            } catch {
                gate.tell("\(process.name) cannot begin: \(error)")
                if process.isAlive { process.crash() }
            }
        }
    }

    private func engine(_ process: SimulatedProcess, _ node: SimulationPlan.Node) async throws -> Engine {
        var configuration = process.configured()
        (configuration.cachedRuns, configuration.activeRuns) = (node.cachedRuns, node.activeRuns)
        configuration.historyPage = node.historyPage
        // Deaths are many, and none of them is a run's fault.
        configuration.poisonLimit = 1_000_000
        configuration.bodyWatch = FaultyBodies(gate: gate, process: process)
        let wire = SimulatedWire(peer: peer, simulation: simulation, process: process)
        var policy = SwarmRun.policy
        policy.grace = .milliseconds(SimulationPlan.grace)
        if let resource = plan.resource {
            policy.resource = "peer"
            configuration.resources["peer"] = ResourceLimits(
                concurrency: resource.concurrency,
                circuit: .init(
                    failures: resource.failures, pause: .milliseconds(resource.pause), longestPause: .seconds(2),
                    spread: .milliseconds(resource.spread)))
        }
        let workflow = SwarmRun(wire: wire, defence: plan.without, policy: policy)
        let logger = Logger(label: "simulate") { _ in SwiftLogNoOpLogHandler() }
        return try await Engine(
            store: process.store(.memory(database)), configuration: configuration, logger: logger
        ) { workflow }
    }

    /// Starts what nobody is known to have started; keys find again what a process before has.
    private func start(_ engine: Engine, _ process: SimulatedProcess) async throws {
        for order in plan.orders.sorted(by: { ($0.startsAfter, $0.number) < ($1.startsAfter, $1.number) }) {
            let due = begin + .milliseconds(order.startsAfter)
            if due > simulation.now { try await process.sleep(for: due.duration(since: simulation.now)) }
            while state.withLock({ $0.started[order.number] == nil }) {
                do {
                    let run = try await engine.start(
                        SwarmRun.self, input: .init(shape: order.shape), key: "run-\(order.number)",
                        queue: order.place.map { QueuePlace(Self.queue, key: $0.key, priority: $0.priority) }, by: Self.person)
                    state.withLock { $0.started[order.number] = run.id }
                } catch let error as PerdureError where error.code == .storeUnavailable {
                    try await process.sleep(for: .milliseconds(20))
                }
            }
        }
    }
}
