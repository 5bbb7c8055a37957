import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization

/// Runs of one workflow in queues: who is under way when.
final class QueueBench: Sendable {
    let simulation: Simulation
    let world: World
    private let state = Mutex(State())

    private struct State {
        var begun: [String] = []
        var times: [Timestamp] = []
        var underWay: [RunID: String] = [:]
        var most = 0
        var mostOfKey = 0
    }

    init(seed: UInt64? = nil, ownership: MemoryDatabase.Ownership = .exclusive) {
        simulation = Simulation(seed: seed)
        world = World(simulation, ownership: ownership)
    }

    /// Over a file.
    init(onDisk seed: UInt64?) throws {
        simulation = Simulation(seed: seed)
        world = try World(onDisk: simulation)
    }

    /// The inputs of the runs whose code has begun, in their order, each once.
    var begun: [String] { state.withLock { $0.begun } }
    /// When they did.
    var times: [Timestamp] { state.withLock { $0.times } }
    /// How many were between their first and their last step at once, at most.
    var most: Int { state.withLock { $0.most } }

    /// The same of one key; the inputs of its runs have to begin with it.
    var mostOfKey: Int { state.withLock { $0.mostOfKey } }

    private func begin(_ input: String, _ run: RunID) {
        let now = simulation.now
        state.withLock { state in
            guard state.underWay.updateValue(input, forKey: run) == nil else { return }
            state.begun.append(input)
            state.times.append(now)
            state.most = max(state.most, state.underWay.count)
            // The input begins with the key, if there is one.
            let key = input.prefix { $0.isLetter }
            state.mostOfKey = max(state.mostOfKey, state.underWay.values.count { $0.prefix { $0.isLetter } == key })
        }
    }

    private func end(_ run: RunID) { state.withLock { $0.underWay[run] = nil } }

    /// A run that says when it begins and ends, and takes so long in between.
    func flow(taking time: Duration = .seconds(10)) -> Flow {
        Flow { [self] input, context in
            let run = context.runID
            try await context.act("begin", input: input, .idempotent(retention: .forever), irreversible: "x") { input, _ in
                self.begin(input, run)
            }
            try await context.sleep(for: time)
            try await context.act("end", input: input, .idempotent(retention: .forever), irreversible: "x") { _, _ in
                self.end(run)
            }
            return input
        }
    }

    /// An engine that hosts such runs.
    func open(_ name: String = "one", taking time: Duration = .seconds(10)) async throws -> Engine {
        try await world.open(simulation.process(name)) { flow(taking: time) }
    }

    /// An engine beside a queue `q`.
    func open(_ limits: QueueLimits, taking time: Duration = .seconds(10)) async throws -> Engine {
        let engine = try await open(taking: time)
        try await engine.client.setQueue("q", limits: limits, by: World.ada)
        return engine
    }
}

extension Engine {
    /// Starts a run of `Flow` in the queue `q`.
    func enqueue(
        _ input: String, key: String = "", priority: Int = 5, deadline: Duration? = nil
    ) async throws -> RunID {
        try await start(
            Flow.self, input: input, deadline: deadline, queue: QueuePlace("q", key: key, priority: priority), by: World.ada
        ).id
    }

    func state(of run: RunID) async throws -> String { try await client.run(run).state }
}
