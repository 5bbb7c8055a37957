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
    private let state = Mutex<(players: [ScriptPlayer], processes: Int)>(([], 0))

    init(_ simulation: Simulation, ownership: MemoryDatabase.Ownership = .exclusive) {
        self.simulation = simulation
        database = MemoryDatabase(ownership: ownership) { simulation.now }
    }

    /// A client of nobody's engine.
    func client() async throws -> Client { try await Client(.memory(database)) }

    func add(_ player: ScriptPlayer) { state.withLock { $0.players.append(player) } }

    /// What scripts wanted and nobody took, and why.
    var refusals: [String] { state.withLock { $0.players }.flatMap(\.refusals) }

    /// What a script has instead of the body.
    func scriptedOutcome(of attempt: Attempt) -> AttemptOutcome? {
        let players = state.withLock { $0.players }
        for player in players {
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
        let players = state.withLock { $0.players }
        for (item, result) in zip(items, results) where !players.isEmpty {
            guard case .advance(let advance) = item, case .advanced = result else { continue }
            let events = advance.events.filter { $0.kind == .approvalRequested || $0.kind == .questionAsked }
            guard !events.isEmpty, let record = try await base.run(number: advance.run) else { continue }
            for player in players { player.note(events, of: record.id) }
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
        let results = try await base.commit(items)
        try await stage.note(items, results, base)
        return results
    }
}

/// Lets a script stand in for bodies.
struct ScriptedBodies: BodyWatch {
    let stage: TestStage

    func attempt(_ attempt: Attempt, of run: RunID, _ body: () async -> AttemptOutcome) async -> AttemptOutcome {
        if let outcome = stage.scriptedOutcome(of: attempt) { return outcome }
        return await body()
    }

    func probe(_ attempt: Attempt, of run: RunID, _ body: () async -> ProbeOutcome) async -> ProbeOutcome { await body() }
    func usesKey(_ attempt: Attempt, of run: RunID) {}
}
