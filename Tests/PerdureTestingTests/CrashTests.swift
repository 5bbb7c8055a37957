import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Processes that die or stop in the middle of whatever they are doing.
@Suite(.timeLimit(.minutes(10))) struct CrashTests {
    @WorkflowBuilder private static func workflows(_ log: Lines, _ process: SimulatedProcess) -> [RegisteredWorkflow] {
        Flow { input, context in
            for place in 1...3 {
                try await context.act("place", id: "\(place)", input: input, .idempotent(retention: .forever), irreversible: "x")
                {
                    input, step in
                    try await process.sleep(for: .seconds(5))
                    log.add(step.idempotencyKey)
                }
                try await context.sleep(for: .hours(1), id: "\(place)")
            }
            return input
        }
    }

    /// Lets the process die when so many turns were taken, and brings up another one. Returns what was done and what came of it.
    private static func crash(after turns: Int, seed: UInt64) async throws -> (
        log: [String], trace: Trace, heads: [String], died: Bool
    ) {
        let simulation = Simulation(seed: seed), world = World(simulation)
        let (heads, died) = try await simulation.run {
            let first = simulation.process("first"), second = simulation.process("second")
            simulation.onTurn { _ in if simulation.trace.turns == turns { first.crash() } }
            let sender = World.ada
            do {
                let engine = try await world.open(first) { Self.workflows(world.log, first) }
                #expect(try await engine.start(Flow.self, input: "a", key: "a", by: sender).result() == "a")
            } catch let error as PerdureError {
                #expect(!first.isAlive, "\(error)")
            }
            let died = !first.isAlive
            simulation.onTurn(nil)
            if !died { await first.shutDown() }
            let engine = try await world.open(second) { Self.workflows(world.log, second) }
            let run = try await engine.start(Flow.self, input: "a", key: "a", by: sender)
            #expect(try await run.result() == "a")
            #expect(try await engine.client.store.audit() == [])
            return (try await world.heads(engine), died)
        }
        return (world.log.all, simulation.trace, heads, died)
    }

    @Test(arguments: [1, 2]) func `whenever a process dies, the next one ends what it began`(seed: UInt64) async throws {
        var turns = 20, deaths = 0
        while true {
            let record = try await Self.crash(after: turns, seed: seed)
            if !record.died { break }
            deaths += 1
            #expect(Set(record.log).count == 3, "after \(turns) turns")
            turns += 7
        }
        #expect(deaths > 10)
    }

    @Test func `a death is as repeatable as everything else`() async throws {
        let first = try await Self.crash(after: 90, seed: 5), second = try await Self.crash(after: 90, seed: 5)
        #expect(first.died)
        #expect(first.trace == second.trace && first.heads == second.heads && first.log == second.log)
    }

    @Test func `a body of a dead process stops where it is`() async throws {
        let simulation = Simulation(), world = World(simulation)
        try await simulation.run {
            let first = simulation.process("first")
            var engine = try await world.open(first) { Self.body(in: first, world.log) }
            let run = try await engine.start(Flow.self, input: "first", by: World.ada)
            try await simulation.sleep(for: .seconds(1))
            first.crash()
            let second = simulation.process("second")
            engine = try await world.open(second) { Self.body(in: second, world.log) }
            _ = try await engine.result(of: run.id)
            try await simulation.sleep(for: .hours(1))
        }
        #expect(world.log.all == ["begin in first", "begin in second", "end in second"])
    }

    @WorkflowBuilder private static func body(in process: SimulatedProcess, _ log: Lines) -> [RegisteredWorkflow] {
        Flow { _, context in
            try await context.read("long") {
                log.add("begin in \(process.name)")
                try? await process.sleep(for: .seconds(5))
                log.add("end in \(process.name)")
                return "done"
            }
        }
    }

    @Test func `a dead process says nothing any more and leaves nothing in memory`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        let dead = Mutex(WeakEngine())
        try await simulation.run {
            let process = simulation.process("node")
            let engine = try await world.open(process) {
                Flow { input, context in try await context.signal(Poke.self) }
            }
            dead.withLock { $0.engine = engine }
            _ = try await engine.start(Flow.self, input: "a", by: World.ada)
            try await simulation.sleep(for: .seconds(1))
            process.crash()
        }
        try await simulation.run { try await simulation.sleep(for: .seconds(1)) }
        #expect(dead.withLock { $0.engine == nil })
        #expect(world.complaints.all == [])
    }

    private struct WeakEngine { weak var engine: Engine? }

    private static func code(_ body: () async throws -> String) async -> PerdureError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? PerdureError)?.code
        }
    }

    @Test func `who waits for a dead engine is told`() async throws {
        let simulation = Simulation(), world = World(simulation)
        try await simulation.run {
            let process = simulation.process("node")
            let engine = try await world.open(process) { Flow { _, context in try await context.signal(Poke.self) } }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            async let result = Self.code { try await run.result() }
            try await simulation.sleep(for: .seconds(1))
            process.crash()
            #expect(await result == .engineStopped)
            await #expect(throws: PerdureError.self) { try await engine.start(Flow.self, input: "b", by: World.ada) }
        }
    }

    @Test func `a process that is stopped goes on later as if nothing had happened`() async throws {
        let simulation = Simulation(seed: 3), world = World(simulation), start = simulation.now
        try await simulation.run {
            let process = simulation.process("node")
            let engine = try await world.open(process) {
                Flow { _, context in
                    try await context.sleep(for: .seconds(10))
                    return try await context.read("time") {
                        world.log.add("\(process.clock.now().duration(since: start) >= .seconds(60))")
                        return "done"
                    }
                }
            }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            try await simulation.sleep(for: .seconds(1))
            process.freeze(for: .seconds(60))
            try await simulation.sleep(for: .seconds(30))
            #expect(world.log.all == [])
            #expect(try await run.result() == "done")
        }
        #expect(world.log.all == ["true"])
        #expect(simulation.now >= start + .seconds(61))
    }
}
