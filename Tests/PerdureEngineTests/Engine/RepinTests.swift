import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Runs that go on with the code of another version.
@Suite(.timeLimit(.minutes(5))) struct RepinTests {
    private static func older(_ harness: EngineHarness, _ gate: StepGate) -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            try await context.act("one", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x") {
                _, _ in
                effects.add("one")
                await gate.hang()
            }
            _ = try await context.signal(Poke.self)
            return "older"
        }
    }

    private static func newer(_ harness: EngineHarness, first: String = "one") -> NewerFlow {
        let effects = harness.effects
        return NewerFlow { input, context in
            try await context.act(first, input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x") {
                _, _ in effects.add(first)
            }
            _ = try await context.signal(Poke.self)
            return "newer"
        }
    }

    // Promise: 24, 25
    @Test func `a run in memory goes on with the other version's code`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Self.older(harness, gate)
                Self.newer(harness)
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            let client = try harness.engine.client
            try await client.repin(run.id, to: "2", by: EngineHarness.bob)
            gate.open()
            try await harness.until(run.id, has: "run.repinned")
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "newer")
            #expect(harness.effects.all == ["one"])
            let record = try await harness.record(run.id)
            #expect(record.version == "2")
            let attributes = try await harness.attributes(.runRepinned, of: run.id)
            #expect(attributes["from"] == "1" && attributes["to"] == "2" && attributes["by"]?["id"] == "bob")
            #expect(try await harness.problems(run.id) == [])
        }
    }

    // Promise: 25
    @Test func `a run is pinned without either version's code, and waits for whoever has it`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(isOpen: true)
            try await harness.open { Self.older(harness, gate) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.open {}
            try await harness.engine.client.repin(run.id, to: "2", by: EngineHarness.bob)
            try await harness.until(run.id, is: .ready)
            #expect(try await harness.record(run.id).version == "2")
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.stop()
            try await harness.open { Self.older(harness, gate) }
            try await harness.stop()
            #expect(try await harness.record(run.id).state == .ready)
            try await harness.open { Self.newer(harness) }
            #expect(try await harness.result(run.id) == "newer")
        }
    }

    @Test func `a run that is blocked under one version goes on under another, and back`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(isOpen: true)
            try await harness.open {
                Self.older(harness, gate)
                Self.newer(harness, first: "other")
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let client = try harness.engine.client
            try await client.repin(run.id, to: "2", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await client.repin(run.id, to: "1", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "older")
            #expect(try await harness.observer().view(of: run.id).standing.blockedBuilds == [])
            #expect(harness.effects.all == ["one"])
        }
    }

    @Test func `a paused run that is pinned to another version stays paused`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(isOpen: true)
            try await harness.open {
                Self.older(harness, gate)
                Self.newer(harness)
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .paused)
            try await client.repin(run.id, to: "2", by: EngineHarness.bob)
            try await harness.until { try await harness.record(run.id).version == "2" }
            try await harness.until(run.id, is: .paused)
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await client.unpause(run.id, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "newer")
        }
    }

    @Test(arguments: [true, false])
    func `a death at the change of version leaves the run on one of the two`(isBefore: Bool) async throws {
        try await withEngines { harness in
            let gate = harness.gate(isOpen: true)
            try await harness.open { Self.older(harness, gate) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(.runRepinned) }) else {
                    return .apply
                }
                return isBefore ? .dieBefore : .dieAfter
            }
            try await harness.engine.client.repin(run.id, to: "2", by: EngineHarness.bob)
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            #expect(try await harness.record(run.id).version == (isBefore ? "1" : "2"))
            try await harness.open { Self.newer(harness) }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "newer")
            #expect(try await harness.count("run.repinned", in: run.id) == 1)
        }
    }

    @Test func `what makes no sense is said at the edge`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.older(harness, harness.gate(isOpen: true)) }
            let run = try await harness.start()
            for (version, code) in [("a b", PerdureError.Code.nameInvalid), ("1", .usage)] {
                let error = await #expect(throws: PerdureError.self) {
                    try await harness.engine.client.repin(run.id, to: WorkflowVersion(version), by: EngineHarness.bob)
                }
                #expect(error?.code == code)
            }
        }
    }
}
