import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// What an engine cannot get on with it leaves alone for a while: it does not ask the store again and again.
@Suite(.timeLimit(.minutes(5))) struct SpinTests {
    /// Counts the calls of one process, and ends it when there are so many that there would be no end to them.
    private final class Meter: StoreGate {
        private let counts = Mutex<[String: Int]>([:])
        private let slow: @Sendable ([CommitItem]) -> Duration?

        init(slow: @escaping @Sendable ([CommitItem]) -> Duration? = { _ in nil }) { self.slow = slow }

        func count(_ call: String) -> Int { counts.withLock { $0[call] ?? 0 } }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {
            let count = counts.withLock { counts in
                counts["\(call)", default: 0] += 1
                return counts["\(call)"] ?? 0
            }
            if count > 500 { process.crash() }
        }

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] {
            if let pause = slow(items) { try? await process.sleep(for: pause) }
            return try await base.commit(items)
        }
    }

    private static func open(
        _ process: SimulatedProcess, _ database: MemoryDatabase, @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
    ) async throws -> Engine {
        let logger = Logger(label: "perdure.test") { _ in SwiftLogNoOpLogHandler() }
        let engine = try await Engine(
            store: process.store(.memory(database)), configuration: process.configured(), logger: logger, workflows: workflows)
        process.start(engine)
        return engine
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `what comes due while a commit is slow is looked up in the inbox once`(seed: UInt64) async throws {
        let simulation = Simulation(seed: seed, limit: .seconds(600))
        let meter = Meter { items in
            let isOfStep = items.contains { item in
                if case .advance(let advance) = item { advance.events.contains { $0.kind == .stepSucceeded } } else { false }
            }
            return isOfStep ? .seconds(2) : nil
        }
        let database = MemoryDatabase { simulation.now }
        try await simulation.run {
            let process = simulation.process("node", gate: meter)
            let engine = try await Self.open(process, database) {
                Flow { _, context in
                    async let pause: Void = context.sleep(for: .milliseconds(100))
                    // Its end and the timer's are one moment, so that the timer waits for the inbox while the end is being committed.
                    let word = try await context.read("look") {
                        try await process.sleep(for: .milliseconds(100))
                        return "seen"
                    }
                    try await pause
                    return word
                }
            }
            #expect(try await engine.start(Flow.self, input: "x", by: World.ada).result() == "seen")
        }
        #expect(meter.count("inboxes") < 10)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `a node that has lost its lease leaves its runs alone although nobody else has them`(seed: UInt64) async throws {
        let simulation = Simulation(seed: seed, limit: .seconds(600)), meter = Meter()
        let database = MemoryDatabase(ownership: .leases(.seconds(3))) { simulation.now }
        let zombie = simulation.process("zombie", gate: meter)
        try await simulation.run {
            let engine = try await Self.open(zombie, database) {
                Flow { input, context in
                    try await context.read("look") {
                        zombie.freeze(for: .seconds(20))
                        await zombie.turn()
                        return input
                    }
                }
            }
            // It sees the lease of the other one run out, and has not the code of its run.
            _ = try await Self.open(simulation.process("other"), database) { Part { input, _ in input } }
            _ = try await engine.start(Flow.self, input: "x", by: World.ada)
            try await simulation.sleep(for: .seconds(60))
        }
        #expect(zombie.isAlive && zombie.hasEnded && zombie.failure != nil)
        #expect(meter.count("commit") < 20 && meter.count("run") < 20)
    }
}
