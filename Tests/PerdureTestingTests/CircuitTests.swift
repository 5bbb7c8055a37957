import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

/// Several nodes, and another side that goes away: who turns to it when.
@Suite(.timeLimit(.minutes(5))) struct CircuitTests {
    private static let circuit = ResourceLimits.Circuit(
        failures: 2, pause: .seconds(60), longestPause: .seconds(240), spread: .seconds(20))

    private struct Outage: Error {}

    private struct Call {
        let at: Timestamp
        let process: String
        let isAnswered: Bool
    }

    /// The other side.
    private final class Bank: Sendable {
        private struct State {
            var isUp = true
            var calls: [Call] = []
            /// What is done in the middle of a call, at the next one after that time.
            var ambush: (after: Timestamp, what: @Sendable (SimulatedProcess) -> Void)?
        }

        private let simulation: Simulation
        private let state = Mutex(State())

        init(_ simulation: Simulation) { self.simulation = simulation }

        var calls: [Call] { state.withLock { $0.calls } }
        func set(isUp: Bool) { state.withLock { $0.isUp = isUp } }
        func ambush(after time: Timestamp, _ what: @escaping @Sendable (SimulatedProcess) -> Void) {
            state.withLock { $0.ambush = (time, what) }
        }

        func pay(from process: SimulatedProcess) async throws {
            let now = simulation.now
            let (isUp, ambush) = state.withLock { state in
                state.calls.append(Call(at: now, process: process.name, isAnswered: state.isUp))
                let isDue = state.ambush.map { $0.after <= now } ?? false
                return (state.isUp, isDue ? state.ambush.take()?.what : nil)
            }
            ambush?(process)
            try await process.sleep(for: .milliseconds(300))
            if !isUp { throw Outage() }
        }
    }

    /// Keeps the calls for circuits from the store, at once or after a while, and counts them.
    private final class Cut: StoreGate {
        private let state = Mutex((isCut: false, after: Duration.zero, calls: 0))

        var calls: Int { state.withLock { $0.calls } }
        func cut(after time: Duration) { state.withLock { ($0.isCut, $0.after) = (true, time) } }
        func mend() { state.withLock { $0.isCut = false } }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {}

        func reach(_ call: StaticString, by process: SimulatedProcess) async throws(StoreError) {
            guard ["circuits", "setCircuit"].contains(call.description) else { return }
            let (isCut, time) = state.withLock { state in
                state.calls += 1
                return (state.isCut, state.after)
            }
            guard isCut else { return }
            if time > .zero { try? await process.sleep(for: time) }
            throw .unavailable("the store cannot be reached")
        }

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] { try await base.commit(items) }
    }

    /// Nodes of which each has runs that pay.
    private struct Cluster {
        let simulation: Simulation
        let world: World
        let bank: Bank
        let cut = Cut()
        var nodes: [(process: SimulatedProcess, engine: Engine)] = []
        var runs: [Run<String>] = []

        init(seed: UInt64) {
            simulation = Simulation(seed: seed)
            world = World(simulation, ownership: .leases(.seconds(6)))
            bank = Bank(simulation)
        }

        mutating func join(_ name: String, _ limits: ResourceLimits? = ResourceLimits(concurrency: 1, circuit: circuit))
            async throws
        {
            let process = simulation.process(name, gate: cut), bank = bank
            let engine = try await world.open(process) {
                $0.resources["bank"] = limits
            } workflows: {
                Flow { input, context in
                    try await context.act(
                        "pay", input: input, .idempotent(retention: .forever), policy: StepPolicy(resource: "bank"),
                        irreversible: "paid"
                    ) { _, _ in try await bank.pay(from: process) }
                    return input
                }
            }
            nodes.append((process, engine))
        }

        mutating func start(_ count: Int, on node: Int) async throws {
            for _ in 0..<count {
                runs.append(try await nodes[node].engine.start(Flow.self, input: "\(runs.count)", by: World.ada))
            }
        }

        func rows() async throws -> [CircuitRow] {
            let client = try await world.client()
            let rows = try await client.store.circuits(namespace: "default")
            await client.close()
            return rows
        }

        /// Lets time pass until all runs have ended.
        func settle(within limit: Duration) async throws {
            let client = try await world.client(), end = simulation.now + limit
            for run in runs {
                while try await !client.record(run.id).state.isFinal {
                    guard simulation.now < end else {
                        Issue.record("run \(run.id) has not ended")
                        return
                    }
                    try await simulation.sleep(for: .seconds(1))
                }
            }
            #expect(try await client.store.audit() == [])
            await client.close()
            // What is said last is said by then.
            try await simulation.sleep(for: .seconds(10))
        }
    }

    private static func run(seed: UInt64, _ body: @escaping @Sendable (inout Cluster) async throws -> Void) async throws {
        let cluster = Cluster(seed: seed)
        try await cluster.simulation.run {
            var cluster = cluster
            try await body(&cluster)
        }
    }

    // Promise: 18
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `after an outage one attempt of all nodes goes first, and the others follow spread out`(seed: UInt64) async throws {
        try await Self.run(seed: seed) { cluster in
            cluster.bank.set(isUp: false)
            for name in ["a", "b", "c"] { try await cluster.join(name) }
            for node in 0..<3 { try await cluster.start(20, on: node) }
            try await cluster.simulation.sleep(for: .seconds(3))
            let begin = cluster.bank.calls
            #expect(begin.count <= 9, "each node has found out by itself at the most")
            #expect(try await cluster.rows().count == 1)
            try await cluster.simulation.sleep(for: .minutes(8))
            let probes = Array(cluster.bank.calls.dropFirst(begin.count))
            #expect(probes.count == 3, "\(probes)")
            for (number, pause) in [60, 120, 240].enumerated() where number < probes.count {
                let before = number == 0 ? begin[1].at : probes[number - 1].at
                #expect(probes[number].at.duration(since: before) >= .seconds(pause), "probe \(number)")
            }
            cluster.bank.set(isUp: true)
            try await cluster.settle(within: .minutes(10))
            let answered = cluster.bank.calls.filter(\.isAnswered)
            #expect(answered.count == 60)
            #expect(cluster.bank.calls.count == begin.count + 3 + 60, "nobody else has come meanwhile")
            #expect(answered[1].at >= answered[0].at + .milliseconds(300), "the first has come through before the others come")
            for call in answered {
                let window = answered.count { $0.at >= call.at && $0.at < call.at + .seconds(1) }
                #expect(window <= 12, "of 60 in 20 seconds")
            }
            #expect(Set(answered.map(\.process)).count > 1)
            #expect(try await cluster.rows() == [])
            // Each node says once that it leaves the resource alone.
            let said = cluster.world.complaints.all.count { $0.hasPrefix("a resource keeps failing") }
            #expect((2...3).contains(said))
        }
    }

    // Promise: 18
    @Test(arguments: [1, 2, 3] as [UInt64], [true, false])
    func `a node that dies or stands still while it tries the other side holds up nobody for long`(
        seed: UInt64, dies: Bool
    ) async throws {
        try await Self.run(seed: seed) { cluster in
            cluster.bank.set(isUp: false)
            for name in ["a", "b"] { try await cluster.join(name) }
            for node in 0..<2 { try await cluster.start(10, on: node) }
            try await cluster.simulation.sleep(for: .seconds(5))
            let before = cluster.bank.calls.count
            cluster.bank.set(isUp: true)
            cluster.bank.ambush(after: cluster.simulation.now) { process in
                if dies { process.crash() } else { process.freeze(for: .minutes(30)) }
            }
            try await cluster.simulation.sleep(for: .minutes(3))
            let calls = Array(cluster.bank.calls.dropFirst(before))
            let (first, second) = (try #require(calls.first), try #require(calls.dropFirst().first))
            #expect(second.process != first.process)
            #expect(second.at.duration(since: first.at) >= .seconds(6), "its leave is waited for")
            #expect(second.at.duration(since: first.at) <= .seconds(40))
            try await cluster.settle(within: .minutes(10))
            #expect(try await cluster.rows() == [])
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64], [Duration.zero, .seconds(30)])
    func `a store that does not answer for circuits stops no step, and all agree when it does`(
        seed: UInt64, delay: Duration
    ) async throws {
        try await Self.run(seed: seed) { cluster in
            cluster.bank.set(isUp: false)
            cluster.cut.cut(after: delay)
            for name in ["a", "b", "c"] { try await cluster.join(name) }
            for node in 0..<3 { try await cluster.start(5, on: node) }
            try await cluster.simulation.sleep(for: .seconds(20))
            #expect(Set(cluster.bank.calls.map(\.process)) == ["a", "b", "c"], "each finds out by itself")
            try await cluster.simulation.sleep(for: .minutes(2))
            #expect(try await cluster.rows() == [])
            cluster.bank.set(isUp: true)
            try await cluster.settle(within: .minutes(10))
            cluster.cut.mend()
            let count = cluster.runs.count
            for node in 0..<3 { try await cluster.start(5, on: node) }
            try await cluster.settle(within: .minutes(10))
            #expect(cluster.bank.calls.count(where: \.isAnswered) == count + 15)
            #expect(try await cluster.rows() == [])
            #expect(cluster.world.complaints.all.count { $0.hasPrefix("circuits cannot be shared") } == 3, "each says so once")
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a store that comes back in the middle of an outage brings the nodes together again`(seed: UInt64) async throws {
        try await Self.run(seed: seed) { cluster in
            cluster.bank.set(isUp: false)
            cluster.cut.cut(after: .zero)
            for name in ["a", "b", "c"] { try await cluster.join(name) }
            for node in 0..<3 { try await cluster.start(5, on: node) }
            try await cluster.simulation.sleep(for: .minutes(2))
            cluster.cut.mend()
            try await cluster.simulation.sleep(for: .minutes(10))
            let before = cluster.bank.calls.count
            try await cluster.simulation.sleep(for: .minutes(30))
            #expect(cluster.bank.calls.count - before <= 8, "one attempt of all nodes in each four minutes")
            cluster.bank.set(isUp: true)
            try await cluster.settle(within: .minutes(10))
            #expect(try await cluster.rows() == [])
        }
    }

    @Test func `a process that starts knows that the other side is left alone`() async throws {
        try await Self.run(seed: 1) { cluster in
            cluster.bank.set(isUp: false)
            try await cluster.join("a")
            try await cluster.start(3, on: 0)
            try await cluster.simulation.sleep(for: .seconds(10))
            let before = cluster.bank.calls.count, row = try #require(try await cluster.rows().first)
            cluster.nodes[0].process.crash()
            cluster.bank.set(isUp: true)
            try await cluster.join("b")
            try await cluster.start(3, on: 1)
            try await cluster.settle(within: .minutes(5))
            let after = cluster.bank.calls.dropFirst(before)
            #expect(after.count == 6)
            #expect(after.allSatisfy { $0.at >= row.until })
        }
    }

    @Test func `a resource without limits of its own is let go of once it answers`() async throws {
        try await Self.run(seed: 1) { cluster in
            cluster.bank.set(isUp: false)
            try await cluster.join("a", nil)
            try await cluster.start(6, on: 0)
            try await cluster.simulation.sleep(for: .seconds(5))
            #expect(try await cluster.rows().count == 1)
            cluster.bank.set(isUp: true)
            try await cluster.settle(within: .minutes(5))
            let before = cluster.bank.calls.count
            try await cluster.start(1, on: 0)
            try await cluster.simulation.sleep(for: .seconds(1))
            #expect(cluster.bank.calls.count == before + 1)
            #expect(cluster.world.complaints.all.count { $0.hasPrefix("a resource keeps failing") } == 1)
        }
    }

    @Test func `steps of a resource that answers ask nothing of the store`() async throws {
        try await Self.run(seed: 1) { cluster in
            for name in ["a", "b"] { try await cluster.join(name, ResourceLimits()) }
            for node in 0..<2 { try await cluster.start(1, on: node) }
            try await cluster.settle(within: .minutes(1))
            let (calls, begin) = (cluster.cut.calls, cluster.simulation.now)
            for node in 0..<2 { try await cluster.start(200, on: node) }
            try await cluster.settle(within: .minutes(1))
            // What is heard of others is looked at twice a second at most.
            let seconds = Int(cluster.simulation.now.duration(since: begin) / .seconds(1))
            #expect(cluster.cut.calls - calls <= 2 * (2 * seconds + 1))
            #expect(cluster.bank.calls.count == 402)
        }
    }
}
