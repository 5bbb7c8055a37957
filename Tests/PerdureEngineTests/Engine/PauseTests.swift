import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Runs that stand still because somebody said so.
@Suite(.timeLimit(.minutes(5))) struct PauseTests {
    /// Two effects, of which the first can be held up, and a signal in between.
    static func flow(_ harness: EngineHarness, _ gate: StepGate) -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            try await context.act("one", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x") {
                _, _ in
                effects.add("one")
                await gate.hang()
            }
            _ = try await context.signal(Poke.self)
            try await context.act("two", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x") {
                _, _ in effects.add("two")
            }
            return input
        }
    }

    // Promise: 24
    @Test func `a paused run starts nothing until it is resumed, and says who paused it`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open { Self.flow(harness, gate) }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            let client = try harness.engine.client
            try await client.pause(run.id, reason: "audit", by: EngineHarness.bob)
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            gate.open()
            try await harness.until(run.id, is: .paused)
            #expect(try await harness.lines(run.id) == ["run.started", "step.succeeded one", "run.paused"])
            let attributes = try await harness.attributes(.runPaused, of: run.id)
            #expect(attributes["by"]?["id"] == "bob" && attributes["reason"] == "audit")
            #expect(try await harness.record(run.id).note == "By bob: audit")
            #expect(try await client.run(run.id).state == "paused")
            try await client.unpause(run.id, by: EngineHarness.ada)
            #expect(try await run.result() == "x")
            #expect(harness.effects.all == ["one", "two"])
            #expect(try await harness.problems(run.id) == [])
        }
    }

    @Test func `a run that waits is paused and resumed, also where nobody hosts it`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness, harness.gate(isOpen: true)) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.open { NewerFlow { input, _ in input } }
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .paused)
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, has: "operator.action")
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await client.unpause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .ready)
            try await client.unpause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, has: "operator.action", times: 2)
            try await harness.stop()
            try await harness.open { Self.flow(harness, harness.gate(isOpen: true)) }
            #expect(try await harness.result(run.id) == "x")
        }
    }

    @Test(arguments: [true, false])
    func `a death while a run is paused or resumed leaves it where it was or where it was to be`(isBefore: Bool) async throws {
        try await withEngines { harness in
            let gate = harness.gate(isOpen: true)
            try await harness.open { Self.flow(harness, gate) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            for (kind, state) in [(EventKind.runPaused, RunState.paused), (.runUnpaused, .waiting)] {
                harness.script.set { call in
                    guard case .commit(_, let items) = call, items.contains(where: { $0.records(kind) }) else { return .apply }
                    return isBefore ? .dieBefore : .dieAfter
                }
                let client = try harness.engine.client
                if kind == .runPaused {
                    try await client.pause(run.id, by: EngineHarness.bob)
                } else {
                    try await client.unpause(run.id, by: EngineHarness.bob)
                }
                try await harness.until { harness.isDead }
                harness.script.set(nil)
                try await harness.crash()
                try await harness.open { Self.flow(harness, gate) }
                try await harness.until(run.id, is: state)
                #expect(try await harness.count(kind.rawValue, in: run.id) == 1)
            }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "x")
            #expect(harness.effects.all == ["one", "two"])
        }
    }

    @Test func `a pause that waits for a body outlives the process`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open { Self.flow(harness, gate) }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.engine.client.pause(run.id, by: EngineHarness.bob)
            try await harness.crash()
            try await harness.open { Self.flow(harness, gate) }
            try await harness.until(run.id, is: .paused)
            #expect(harness.effects.all == ["one"])
            gate.open()
            try await harness.engine.client.unpause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .waiting)
            #expect(harness.effects.all == ["one", "one"])
            #expect(try await harness.count("step.succeeded one", in: run.id) == 1)
        }
    }

    @Test func `a blocked run that is paused is blocked again when it is resumed`() async throws {
        try await withEngines { harness in
            let flow = Self.flow(harness, harness.gate(isOpen: true))
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") { Flow { input, _ in input } }
            let client = try harness.engine.client
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            let note = try await harness.record(run.id).note
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .paused)
            try await client.unpause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note == note)
            #expect(try await harness.lines(run.id).count { $0.hasPrefix("run.blocked") } == 1)
            try await harness.stop()
            try await harness.open(build: "build-3") { flow }
            #expect(try await harness.result(run.id) == "x")
        }
    }

    @Test func `a parked run that is paused is resolved in its pause, and goes on when it is resumed`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(), irreversible: "x"
                    ) { _, _ -> String in throw Hiccup() }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .paused)
            let happened = StepResolution.happened(result: Data("\"paid\"".utf8))
            try await client.resolve(run.id, step: "pay", happened, by: EngineHarness.bob)
            try await harness.until(run.id, has: "step.resolved pay")
            try await harness.until(run.id, is: .paused)
            try await client.unpause(run.id, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "paid")
        }
    }

    @Test func `a paused run is terminated`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness, harness.gate(isOpen: true)) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .paused)
            try await client.terminate(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .terminated)
            let error = await #expect(throws: PerdureError.self) { try await client.pause(run.id, by: EngineHarness.bob) }
            #expect(error?.code == .runClosed)
        }
    }

    @Test func `an engine that shuts down does not wait for a run that is to stand still longer than for another`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open(configure: { $0.shutdownGrace = .seconds(5) }) { Self.flow(harness, gate) }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.stop(after: .seconds(6))
            #expect(try await harness.lines(run.id).last == "step.intended one")
            try await harness.open { Self.flow(harness, gate) }
            try await harness.until(run.id, is: .paused)
        }
    }

    @Test func `a message that comes together with the end of the grace does not keep a run that is to stand still`() async throws
    {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects, thread = Barrier()
            defer { thread.open() }
            try await harness.open(configure: { configuration in
                configuration.shutdownGrace = .seconds(5)
                configuration.threads = 1
            }) {
                Self.flow(harness, gate)
                Work { input, _ in
                    effects.add("in the way")
                    thread.wait()
                    return input
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            let client = try harness.engine.client
            try await client.pause(run.id, by: EngineHarness.bob)
            // The only thread is taken until both have come.
            _ = try await harness.engine.start(Work.self, input: "x", by: EngineHarness.ada)
            try await harness.until { effects.count("in the way") == 1 }
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try harness.beginStop()
            try await harness.until { harness.logs.lines.contains("engine drains") }
            harness.clock.advance(by: .seconds(6))
            thread.open()
            _ = try await harness.untilEnded()
            #expect(try await harness.lines(run.id).last == "step.intended one")
        }
    }
}

/// Keeps a thread until it is opened.
private final class Barrier: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func wait() { semaphore.wait() }
    func open() { semaphore.signal() }
}
