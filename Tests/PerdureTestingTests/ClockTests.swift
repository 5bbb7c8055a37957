import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Machines whose clocks are wrong, and clocks that are set. What is due, the store's time decides.
@Suite(.timeLimit(.minutes(5))) struct ClockTests {
    /// Counts how often the store is asked for work, and ends a process that does not stop asking.
    private final class Counter: StoreGate {
        private let count = Atomic<Int>(0)
        var claims: Int { count.load(ordering: .relaxed) }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {
            guard "\(call)" == "claim" else { return }
            if count.add(1, ordering: .relaxed).newValue > 2_000 { process.crash() }
        }

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] { try await base.commit(items) }
    }

    /// Says in which minute its step runs, after a sleep, and after a failure and the wait that follows.
    @WorkflowBuilder private static func workflows(_ world: World) -> [RegisteredWorkflow] {
        Flow { input, context in
            try await context.sleep(for: .hours(3))
            let policy = StepPolicy(retry: RetryPolicy(initialDelay: .minutes(30), maximumDelay: .minutes(30), jitter: 0))
            return try await context.read("look", policy: policy) {
                world.log.add(
                    "\(input) \(Int((world.simulation.now.duration(since: Simulation().now) / .seconds(60)).rounded()))")
                if world.log.all.count == 1 { throw Unready() }
                return input
            }
        }
    }

    private struct Unready: Error {}

    @Test(arguments: [Duration.zero, .hours(1), .hours(-1), .days(400), .days(-400)])
    func `whatever a machine's clock says, what is due comes at the store's time and is not looked for before`(
        skew: Duration
    ) async throws {
        let simulation = Simulation(), world = World(simulation), counter = Counter(), start = simulation.now
        let process = simulation.process("node", skew: skew, gate: counter)
        try await simulation.run {
            let engine = try await world.open(process) { Self.workflows(world) }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            #expect(try await run.result() == "a")
            let events = try await engine.client.history(of: run.id)
            #expect(events.allSatisfy { $0.at >= start && $0.at <= simulation.now })
            #expect(try await engine.client.store.audit() == [])
        }
        #expect(world.log.all == ["a 180", "a 210"])
        #expect(counter.claims < 20)
    }

    @Test func `machines whose clocks differ agree on what is due`() async throws {
        let simulation = Simulation(), world = World(simulation), counter = Counter()
        let early = simulation.process("early", skew: .hours(1), gate: counter)
        let late = simulation.process("late", skew: .hours(-1), gate: counter)
        try await simulation.run {
            var engine = try await world.open(early) { Self.workflows(world) }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            try await simulation.sleep(for: .hours(1))
            early.crash()
            engine = try await world.open(late) { Self.workflows(world) }
            _ = try await engine.result(of: run.id)
        }
        #expect(world.log.all == ["a 180", "a 210"])
        #expect(counter.claims < 20)
    }

    @Test func `a machine's clock that is set makes nothing come earlier or later`() async throws {
        let simulation = Simulation(), world = World(simulation), counter = Counter()
        let process = simulation.process("node", gate: counter)
        try await simulation.run {
            let engine = try await world.open(process) { Self.workflows(world) }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            for skew in [Duration.hours(5), .hours(-5), .days(30), .zero, .hours(-1)] {
                try await simulation.sleep(for: .minutes(20))
                process.setClock(ahead: skew)
                // Gives the engine something to do, so that it looks at the time.
                _ = try await engine.start(Flow.self, input: "b", key: "b", by: World.ada)
            }
            #expect(try await run.result() == "a")
        }
        #expect(world.log.all.filter { $0.hasPrefix("a") } == ["a 180", "a 210"])
        #expect(counter.claims < 50)
    }

    @Test(arguments: [Duration.hours(1), .hours(-1)])
    func `when the store's clock is set, nothing is lost and nothing comes before its time`(jump: Duration) async throws {
        let simulation = Simulation(), world = World(simulation), counter = Counter(), start = simulation.now
        let process = simulation.process("node", gate: counter)
        try await simulation.run {
            let engine = try await world.open(process) { Self.workflows(world) }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            try await simulation.sleep(for: .hours(2))
            world.setClock(ahead: jump)
            #expect(try await run.result() == "a")
            let events = try await engine.client.history(of: run.id)
            let fired = try #require(events.first { $0.kind == .timerFired })
            #expect(fired.at >= start + .hours(3))
            #expect(events.map(\.at) == events.map(\.at).sorted())
            #expect(try await engine.client.store.audit() == [])
        }
        // The machine waits as long as it was to wait, and after that until the store's clock says so.
        #expect(world.log.all.first == (jump > .zero ? "a 180" : "a 240"))
        #expect(counter.claims < 20)
    }

    @Test(arguments: [Duration.seconds(60), .seconds(-60)])
    func `a process that takes another time for its store's looks for what is due without haste`(error: Duration) async throws {
        let simulation = Simulation(), world = World(simulation), counter = Counter(), start = simulation.now
        let process = simulation.process("node", misjudgement: error, gate: counter)
        try await simulation.run {
            let engine = try await world.open(process) { Self.workflows(world) }
            let run = try await engine.start(Flow.self, input: "a", by: World.ada)
            #expect(try await run.result() == "a")
        }
        #expect(world.log.all.count == 2)
        #expect(simulation.now >= start + .minutes(210) && simulation.now < start + .minutes(214))
        #expect(counter.claims < 200)
    }

    @Test(arguments: [Duration.hours(1), .hours(-1)])
    func `a body is told its deadline on the clock that it can compare it with`(skew: Duration) async throws {
        let simulation = Simulation(), world = World(simulation)
        let process = simulation.process("node", skew: skew)
        try await simulation.run {
            let engine = try await world.open(process) {
                Flow { input, context in
                    let policy = StepPolicy(attemptTimeout: .seconds(90))
                    try await context.act(
                        "send", input: input, .idempotent(retention: .forever), policy: policy, irreversible: "x"
                    ) { _, step in
                        world.log.add("\(step.deadline.timeIntervalSince(process.clock.now().date).rounded())")
                    }
                    return input
                }
            }
            _ = try await engine.start(Flow.self, input: "a", by: World.ada).result()
        }
        #expect(world.log.all == ["90.0"])
    }
}
