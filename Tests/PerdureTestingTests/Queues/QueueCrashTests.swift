import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Testing

/// Queues whose nodes die, and several nodes on one queue.
@Suite(.timeLimit(.minutes(10))) struct QueueCrashTests {
    @Test func `a node that dies while it looks after a run in its queue leaves it there, and none of its code runs`()
        async throws
    {
        var takeovers = 0
        for turns in 1...90 {
            let bench = QueueBench(seed: 1), simulation = bench.simulation
            takeovers += try await simulation.run {
                let client = try await bench.world.client(), first = simulation.process("first")
                try await client.setQueue("q", limits: QueueLimits(concurrency: 0), by: World.ada)
                let engine = try await bench.world.open(first) { bench.flow() }
                let run = try await engine.enqueue("x", deadline: .days(2))
                try await simulation.sleep(for: .seconds(1))
                let before = simulation.trace.turns
                simulation.onTurn { _ in if simulation.trace.turns == before + turns { first.crash() } }
                try await client.pause(run, by: World.ada)
                try await client.unpause(run, by: World.ada)
                try await simulation.sleep(for: .seconds(1))
                simulation.onTurn(nil)
                if first.isAlive { await first.shutDown() }
                let second = try await bench.open("second")
                try await simulation.sleep(for: .seconds(1))
                let record = try await client.record(run)
                #expect(record.state == .queued && record.wakeAt != nil && !record.isAdmitted, "\(turns): \(record.state)")
                #expect(bench.begun == [] && second.configuration.activeRuns > 0)
                #expect(try await client.store.audit() == [], "\(turns)")
                try await client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
                #expect(try await second.result(of: run) == Data(#""x""#.utf8))
                return RunView(try await client.history(of: run)).takeovers
            }
        }
        #expect(takeovers > 3, "it never died while it had the run")
    }

    // Promise: 46
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `over nodes that die and come back no more runs are under way than the queue allows`(seed: UInt64) async throws {
        let bench = QueueBench(seed: seed, ownership: .leases(.seconds(2))), simulation = bench.simulation
        try await simulation.run {
            let client = try await bench.world.client()
            try await client.setQueue("q", limits: QueueLimits(concurrency: 3, perKey: 2), by: World.ada)
            var nodes: [SimulatedProcess] = [], engines: [Engine] = []
            func begin() async throws {
                nodes.append(simulation.process("node-\(nodes.count)"))
                engines.append(try await bench.world.open(nodes[nodes.count - 1]) { bench.flow(taking: .seconds(1)) })
            }
            for _ in 0..<3 { try await begin() }
            var runs: [RunID] = []
            for number in 0..<18 {
                let key = ["a", "b", "c", "a"][number % 4]
                runs.append(try await engines[number % 3].enqueue("\(key)\(number)", key: key, priority: number % 10))
            }
            // One after the other dies, and another one takes its place.
            for death in 0..<3 {
                for _ in 0..<20 {
                    try await simulation.sleep(for: .milliseconds(100))
                    let queue = try #require(try await client.queues().first)
                    #expect(queue.held <= 3)
                    #expect(try await client.store.audit() == [])
                }
                nodes[death].crash()
                try await begin()
            }
            for run in runs { _ = try await engines[3].result(of: run) }
            #expect(bench.begun.count == 18 && bench.most <= 3 && bench.mostOfKey <= 2, "\(bench.most) \(bench.mostOfKey)")
            #expect(try await client.queues().map(\.held) == [0])
            #expect(try await client.store.audit() == [])
        }
    }

    @Test(arguments: [nil, 5] as [UInt64?])
    func `short runs of a queue for one do not wait for each other longer than it takes to be heard of`(seed: UInt64?)
        async throws
    {
        let bench = QueueBench(seed: seed, ownership: .leases(.seconds(6))), simulation = bench.simulation
        try await simulation.run {
            let client = try await bench.world.client()
            try await client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            let engines = [
                try await bench.world.open(simulation.process("one")) { Flow { input, _ in input } },
                try await bench.world.open(simulation.process("two")) { Flow { input, _ in input } },
            ]
            let begin = simulation.now
            var runs: [RunID] = []
            for number in 0..<100 { runs.append(try await engines[number % 2].enqueue("\(number)", key: "\(number % 5)")) }
            try await simulation.sleep(for: .seconds(2))
            let closed = try await client.runs(limit: 1_000).compactMap(\.closedAt)
            #expect(closed.count == 100, "\(closed.count) runs of 100 in 2 seconds")
            #expect(simulation.now.duration(since: begin) < .seconds(3))
            #expect(try await client.store.audit() == [])
        }
    }
}
