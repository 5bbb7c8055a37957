import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import Synchronization

/// A database in memory with engines over it, which can die, and the people outside, who do not.
final class TestStage: Sendable {
    let simulation: Simulation
    let database: MemoryDatabase
    /// Beats when something was committed or somebody has died.
    let pulse = Pulse()

    private struct State {
        var players: [ScriptPlayer] = []
        var processes = 0
        /// Of a run that another one started or was continued as: that one, or the first of those that continue each other.
        var origins: [RunID: RunID] = [:]
    }

    private let state = Mutex(State())

    init(_ simulation: Simulation, ownership: MemoryDatabase.Ownership = .exclusive) {
        self.simulation = simulation
        database = MemoryDatabase(ownership: ownership) { simulation.now }
    }

    /// A client of nobody's engine.
    func client() async throws -> Client { try await Client(.memory(database)) }

    func add(_ player: ScriptPlayer) { state.withLock { $0.players.append(player) } }
    func remove(_ player: ScriptPlayer) { state.withLock { $0.players.removeAll { $0 === player } } }

    /// Who plays to a run: the players of the run that it comes of. One that has not heard yet which run is its own plays to those that
    /// nobody else plays to: bodies may begin before the start of their run has returned.
    private func players(of run: RunID) -> [ScriptPlayer] {
        let (players, first) = state.withLock { state in
            var first = run
            while let origin = state.origins[first], origin != first { first = origin }
            return (state.players, first)
        }
        let own = players.filter { $0.run == first }
        return own.isEmpty ? players.filter { $0.run == nil } : own
    }

    /// Learns which runs come of which. Before they are there: what is theirs may begin at once.
    func learnFamilies(_ items: [CommitItem]) {
        for case .advance(let advance) in items {
            for child in advance.children {
                guard let parent = RunView(child.events).parent?.run else { continue }
                state.withLock { $0.origins[child.record.id] = parent }
            }
            guard let next = advance.successor?.record, let origin = next.origin?.run else { continue }
            state.withLock { $0.origins[next.id] = origin }
        }
    }

    /// What scripts wanted and nobody took, and why.
    var refusals: [String] { state.withLock { $0.players }.flatMap(\.refusals) }

    /// What a script has instead of the body.
    func scriptedOutcome(of attempt: Attempt, in run: RunID) -> AttemptOutcome? {
        for player in players(of: run) {
            if let outcome = player.outcome(of: attempt) { return outcome }
        }
        return nil
    }

    func process(gate: any StoreGate) -> SimulatedProcess {
        let number = state.withLock { state in
            state.processes += 1
            return state.processes
        }
        return simulation.process("node-\(number)", gate: gate)
    }

    /// An engine in this process, which is not running yet.
    func engine(
        in process: SimulatedProcess, _ configuration: EngineConfiguration, logger: Logger, watch: any BodyWatch,
        _ workflows: [RegisteredWorkflow]
    ) async throws -> Engine {
        var configuration = process.configured(configuration)
        configuration.bodyWatch = watch
        return try await Engine(
            store: process.store(.memory(database)), configuration: configuration, logger: process.logger(logger)
        ) { workflows }
    }

    /// Tells whoever plays a script what has been committed.
    func note(_ items: [CommitItem], _ results: [CommitResult], _ base: any Store) async throws(StoreError) {
        for (item, result) in zip(items, results) {
            guard case .advance(let advance) = item, case .advanced = result else { continue }
            let events = advance.events.filter { $0.kind == .approvalRequested || $0.kind == .questionAsked }
            guard !events.isEmpty, let record = try await base.run(number: advance.run) else { continue }
            for player in players(of: record.id) { player.note(events, of: record.id) }
        }
        pulse.beat()
    }
}

/// Passes everything on, and tells the stage.
struct OpenGate: StoreGate {
    let stage: TestStage

    func willCall(_ call: StaticString, by process: SimulatedProcess) {}

    func commit(_ items: [CommitItem], _ base: any Store, by process: SimulatedProcess) async throws(StoreError) -> [CommitResult]
    {
        stage.learnFamilies(items)
        let results = try await base.commit(items)
        try await stage.note(items, results, base)
        return results
    }
}

/// Lets a script stand in for bodies.
struct ScriptedBodies: BodyWatch {
    let stage: TestStage

    func attempt(_ attempt: Attempt, of run: RunID, _ body: () async -> AttemptOutcome) async -> AttemptOutcome {
        if let outcome = stage.scriptedOutcome(of: attempt, in: run) { return outcome }
        return await body()
    }

    func probe(_ attempt: Attempt, of run: RunID, _ body: () async -> ProbeOutcome) async -> ProbeOutcome { await body() }
    func usesKey(_ attempt: Attempt, of run: RunID) {}
}
