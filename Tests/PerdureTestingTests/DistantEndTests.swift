import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Whoever waits on one node for what another node does.
@Suite(.timeLimit(.minutes(5))) struct DistantEndTests {
    private enum Add: Update {
        static let name = "add"
        typealias Payload = Int
        typealias Reply = String
    }

    /// Counts how often a process asks what became of runs elsewhere.
    private final class Looks: StoreGate {
        private let counts = Mutex<[String: Int]>([:])
        var all: [String: Int] { counts.withLock { $0 } }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {
            if call.description == "ended" { counts.withLock { $0[process.name, default: 0] += 1 } }
        }

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] { try await base.commit(items) }
    }

    /// Two nodes that host the same workflow.
    private struct Pair {
        let simulation: Simulation
        let world: World
        let looks = Looks()

        init(seed: UInt64?, _ ownership: MemoryDatabase.Ownership = .leases(.seconds(6))) {
            simulation = Simulation(seed: seed)
            world = World(simulation, ownership: ownership)
        }

        func open(_ name: String, _ flow: @escaping @Sendable (String) -> Flow) async throws -> Engine {
            try await world.open(simulation.process(name, gate: looks)) { flow(name) }
        }
    }

    @Test(arguments: [nil, 1, 2, 3, 4] as [UInt64?])
    func `a result is told on every node that waits for it, a quarter of a second later at most`(seed: UInt64?) async throws {
        let pair = Pair(seed: seed), simulation = pair.simulation
        try await simulation.run {
            let flow = { @Sendable (name: String) in
                Flow { input, context in
                    for leg in 1...3 {
                        try await context.act("leg-\(leg)", input: input, .idempotent(retention: .forever), irreversible: "x") {
                            _, _ in
                        }
                        try await context.sleep(for: .seconds(2))
                    }
                    return input
                }
            }
            let engines = [try await pair.open("first", flow), try await pair.open("second", flow)]
            try await simulation.sleep(for: .seconds(5))
            #expect(pair.looks.all == [:], "nobody waits, and yet it was looked")
            let delays = try await withThrowingTaskGroup(of: Duration.self) { group in
                for number in 0..<6 {
                    let run = try await engines[number % 2].start(Flow.self, input: "\(number)", by: World.ada)
                    for engine in engines {
                        group.addTask {
                            let output = try await engine.result(of: run.id)
                            #expect(String(decoding: output, as: UTF8.self) == "\"\(number)\"")
                            let closed = try #require(try await engine.client.record(run.id).closedAt)
                            return simulation.now.duration(since: closed)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(delays.count == 12 && delays.allSatisfy { $0 <= .milliseconds(250) }, "\(delays)")
            let looks = pair.looks.all
            #expect(looks.keys.sorted() == ["first", "second"])
            // At most one that had been planned.
            try await simulation.sleep(for: .seconds(60))
            #expect(pair.looks.all == looks, "nobody waits any more, and yet it was looked")
            // Six seconds, four times a second, and not for each run.
            #expect(looks.values.allSatisfy { $0 <= 26 }, "\(looks)")
        }
        #expect(pair.world.complaints.all == [])
    }

    @Test(arguments: [nil, 1, 2, 3] as [UInt64?])
    func `the reply to an update is told on the node that has sent it`(seed: UInt64?) async throws {
        let pair = Pair(seed: seed), simulation = pair.simulation
        try await simulation.run {
            let flow = { @Sendable (name: String) in
                Flow { _, context in
                    for _ in 0..<6 {
                        try await context.update(Add.self) { number in
                            if number == 13 { throw PerdureError(.usage, "not 13") }
                        } _: { number in
                            "\(number + 1)"
                        }
                    }
                    return "done"
                }
            }
            let engines = [try await pair.open("first", flow), try await pair.open("second", flow)]
            let run = try await engines[0].start(Flow.self, input: "x", by: World.ada).id
            for number in 0..<6 {
                // On both, at different places of the pause between two looks.
                try await simulation.sleep(for: .milliseconds(170))
                let sender = engines[number % 2].client
                #expect(try await sender.update(run, Add.self, number, by: World.ada) == "\(number + 1)")
                guard number == 3 else { continue }
                let error = await #expect(throws: PerdureError.self) { try await sender.update(run, Add.self, 13, by: World.ada) }
                #expect(error?.code == .updateRejected)
            }
            for engine in engines { _ = try await engine.result(of: run) }
            let late = await #expect(throws: PerdureError.self) {
                try await engines[1].client.update(run, Add.self, 1, by: World.ada)
            }
            #expect(late?.code == .runClosed)
        }
    }

    @Test func `an update of a run that ends without an answer is told so on another node`() async throws {
        let pair = Pair(seed: nil), simulation = pair.simulation
        try await simulation.run {
            let flow = { @Sendable (name: String) in
                Flow { _, context in
                    try await context.sleep(for: .seconds(10))
                    return "done"
                }
            }
            let first = try await pair.open("first", flow)
            let run = try await first.start(Flow.self, input: "x", by: World.ada).id
            let second = try await pair.open("second") { _ in Flow { _, _ in "" } }
            let error = await #expect(throws: PerdureError.self) {
                try await second.client.update(run, Add.self, 1, by: World.ada)
            }
            #expect(error?.code == .runClosed)
        }
    }

    @Test func `an engine that has its store for itself never looks what others did`() async throws {
        let pair = Pair(seed: nil, .exclusive), simulation = pair.simulation
        try await simulation.run {
            let engine = try await pair.open("only") { _ in
                Flow { input, context in
                    try await context.sleep(for: .hours(5))
                    return input
                }
            }
            #expect(try await engine.start(Flow.self, input: "x", by: World.ada).result() == "x")
        }
        #expect(pair.looks.all == [:])
    }

    @Test func `the same seed gives the same looks`() async throws {
        func trace() async throws -> Trace {
            let pair = Pair(seed: 9), simulation = pair.simulation
            return try await simulation.run {
                let flow = { @Sendable (name: String) in
                    Flow { input, context in
                        try await context.sleep(for: .seconds(3))
                        return input
                    }
                }
                let engines = [try await pair.open("first", flow), try await pair.open("second", flow)]
                let run = try await engines[0].start(Flow.self, input: "x", by: World.ada)
                async let other = engines[1].result(of: run.id)
                _ = try await (run.result(), other)
                return simulation.trace
            }
        }
        #expect(try await trace() == trace())
    }
}
