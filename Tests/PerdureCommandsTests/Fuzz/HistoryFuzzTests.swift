import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Histories that make no sense, each with a chain that holds: whoever can write to a store can compute one. A trap ends the process of the
/// tests; the seed of the case is the last one that was printed.
@Suite(.timeLimit(.minutes(5))) struct HistoryFuzzTests {
    private static let histories = Task { try await Histories.recorded() }
    private static let ada = Principal(.human, "ada")

    /// A run of the corpus, damaged, perhaps cut off.
    private func damaged(_ seed: UInt64) async throws -> (RecordedRun, Damage) {
        let histories = try await Self.histories.value
        var damage = Damage(seed: seed), run = damage.pick(histories.runs)
        if damage.chance(2) { run.events.removeLast(damage.number(below: run.events.count)) }
        run.events = Damage.rechained(
            damage.damaged(run.events, others: histories.events), namespace: run.record.namespace, run: run.record.id)
        return (run, damage)
    }

    @Test func `the histories that are damaged have most kinds of events`() async throws {
        let kinds = Set(try await Self.histories.value.events.map(\.kind))
        #expect(kinds.count >= 36, "missing: \(EventKind.allCases.filter { !kinds.contains($0) })")
    }

    @Test(arguments: Damage.seeds(0..<8).map { $0 * 1_000 })
    func `whatever a history says, it is verified, proved, shown and explained`(first: UInt64) async throws {
        for seed in Damage.seeds(first..<first + 100) {
            let (run, _) = try await damaged(seed)
            let report = HistoryVerifier.verify(run.record, run.events)
            #expect(!report.problems.contains { $0.rule == .chain }, "seed \(seed)")
            _ = StateContinuity(run.events).problems
            let view = RunView(run.events)
            for now in [Timestamp.distantPast, run.record.createdAt, .distantFuture] {
                #expect(!RunExplanation(run.record, view, now: now).sentences.isEmpty, "seed \(seed)")
            }
            _ = RunFact.facts(of: run.events)
            _ = NamedChildren(run.events)
            for event in run.events {
                _ = view.survey(of: ResetRequest(to: event.seq, completed: .undo))
                let line = HistoryLine.event(event).bytes()
                #expect(try HistoryLine(line, number: 1).bytes() == line, "seed \(seed)")
            }
        }
    }

    @Test(arguments: Damage.seeds(0..<4).map { $0 * 1_000 })
    func `whatever a history says, code is checked against it`(first: UInt64) async throws {
        let rehearser = try Rehearser(Histories.workflows, EngineConfiguration())
        for seed in Damage.seeds(first..<first + 50) {
            let (run, _) = try await damaged(seed)
            _ = await rehearser.rehearse(run)
        }
        await rehearser.close()
    }

    @Test(arguments: Damage.seeds(0..<8).map { $0 * 1_000 })
    func `whatever a history says, an engine goes on with it, stops it or sets it aside`(first: UInt64) async throws {
        for seed in Damage.seeds(first..<first + 25) {
            let (run, damage) = try await damaged(seed)
            do {
                try await Self.live(run, damage)
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }

    /// An engine finds the run as a dead process has left it. People do what comes into their heads.
    private static func live(_ run: RecordedRun, _ given: Damage) async throws {
        let simulation = Simulation(seed: 1, start: run.record.createdAt + .days(2)), events = run.events
        guard let first = events.first else { return }
        let database = MemoryDatabase { simulation.now }
        try await simulation.run {
            let dead = NodeID(rawValue: "dead"), id = run.record.id
            let store = try database.open(.engine)
            try await store.register(NodeRegistration(id: dead, build: "b", host: "h", processID: 1))
            var record = RunRecord(
                id: id, namespace: run.record.namespace, workflow: run.record.workflow, version: run.record.version, key: nil,
                inputDigest: run.record.inputDigest, salt: run.record.salt, state: .running, epoch: 1, owner: dead,
                createdAt: run.record.createdAt)
            guard case .created(let made)? = try await store.commit([.create(NewRun(record: record, events: [first]))]).first
            else {
                return
            }
            record = made
            let rest = RunAdvance(run: record.number, epoch: 1, head: ChainHead(after: first), events: Array(events.dropFirst()))
            _ = try await store.commit([.advance(rest)])
            await store.close()
            let process = simulation.process("node")
            let engine = try await Histories.engine(process, .memory(database))
            process.start(engine)
            var damage = given
            for _ in 0..<4 {
                try await simulation.sleep(for: .hours(1))
                try await meddle(engine.client, id, events, &damage)
            }
            try await simulation.sleep(for: .days(3))
            if process.hasEnded { throw process.failure ?? PerdureError(.engineStopped, "it has ended by itself") }
            await process.shutDown()
        }
    }

    /// Something that a person could do. What is refused has a code.
    private static func meddle(_ client: Client, _ run: RunID, _ events: [Event], _ damage: inout Damage) async throws {
        let step = damage.chance(3) ? damage.text() : damage.pick(events).subject
        let json = Data(damage.json().canonicalBytes), seq = damage.chance(2) ? damage.integer() : Int64(damage.number(below: 30))
        let calls: [@Sendable () async throws -> Void] = [
            { try await client.cancel(run, by: ada) },
            { try await client.terminate(run, reason: "x", by: ada) },
            { try await client.pause(run, by: ada) },
            { try await client.unpause(run, by: ada) },
            { try await client.repin(run, to: "1", by: ada) },
            { try await client.retry(run, step: step, by: ada) },
            { try await client.retry(run, by: ada) },
            { try await client.resolve(run, step: step, .happened(result: json), by: ada) },
            { try await client.resolve(run, step: step, .didNotHappen, by: ada) },
            { try await client.resolve(run, step: step, .undo(result: json), by: ada) },
            { try await client.resolve(run, step: step, .abort, by: ada) },
            { try await client.reset(run, to: seq, completed: .undo, by: ada) },
            { try await client.reset(run, to: seq, completed: .adopt, exceptions: [step: .keep], by: ada) },
            { _ = try await client.fork(run, at: seq, by: ada) },
            { try await client.signal(run, name: "poke", json: json, by: ada) },
            { try await client.answer(run, question: step, json: json, by: ada) },
            { for approval in try await client.pendingApprovals() { try await client.decide(approval, approve: true, by: ada) } },
            { _ = try await client.explain(run, now: .distantFuture) },
            { _ = try await client.status(of: run) },
        ]
        do {
            try await damage.pick(calls)()
        } catch is PerdureError {}
    }
}
