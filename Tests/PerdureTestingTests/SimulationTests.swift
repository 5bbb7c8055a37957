import Perdure
import PerdureEngine
import PerdureHistory
import PerdureTesting
import Testing

/// Engines that run in a simulation, without any thread of their own.
@Suite(.timeLimit(.minutes(5))) struct SimulationTests {
    @Test(arguments: [nil, 1, 2]) func `a workflow waits for three weeks in no time`(seed: UInt64?) async throws {
        let simulation = Simulation(seed: seed), world = World(simulation), start = simulation.now
        let result = try await simulation.run {
            let engine = try await world.open(simulation.process("node")) {
                Flow { input, context in
                    let order = try await context.step("order", input: input, .idempotent(retention: .forever), irreversible: "x")
                    {
                        input, _ in input + " ordered"
                    }
                    try await context.sleep(for: .days(21))
                    return try await context.read("look") { order + ", delivered" }
                }
            }
            return try await engine.start(Flow.self, input: "tea", by: World.ada).result()
        }
        #expect(result == "tea ordered, delivered")
        #expect(simulation.now >= start + .days(21))
        #expect(simulation.now < start + .days(22))
        #expect(simulation.outsideWork == [])
    }

    @Test(arguments: [nil, 3, 4]) func `children, signals, races and retries work in a simulation`(seed: UInt64?) async throws {
        let simulation = Simulation(seed: seed), world = World(simulation)
        let lines = try await simulation.run {
            let engine = try await world.open(simulation.process("node")) { Self.busy() }
            let run = try await engine.start(Flow.self, input: "x", by: World.ada)
            try await simulation.sleep(for: .hours(3))
            try await run.signal(Poke.self, "go", by: World.ada)
            #expect(try await run.result() == "go part-x late")
            return try await world.lines(engine, run.id)
        }
        #expect(lines.first == "run.started" && lines.last == "run.completed")
        #expect(lines.count { $0 == "step.attempt_failed flaky" } == 2)
        #expect(simulation.outsideWork == [])
    }

    /// Several things at once, some of which fail at first.
    @WorkflowBuilder static func busy() -> [RegisteredWorkflow] {
        Flow { input, context in
            async let part = context.child(Part.self, input: input, irreversible: "x")
            async let poke = context.signal(Poke.self)
            try await context.act("flaky", input: input, .idempotent(retention: .forever), irreversible: "x") { _, step in
                if step.attempt < 3 { throw PerdureError(.usage, "not yet") }
            }
            let late = try await context.timeout(.hours(10)) {
                try await context.sleep(for: .hours(9))
                return "late"
            }
            return try await "\(poke) \(part) \(late)"
        }
        Part { input, context in
            try await context.sleep(for: .days(2))
            return try await context.read("name") { "part-\(input)" }
        }
    }
}
