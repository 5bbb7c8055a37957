import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureTesting
import Testing

/// What a seed decides, and nothing else does.
@Suite(.timeLimit(.minutes(10))) struct DeterminismTests {
    /// What was done, and what came of it.
    private struct Record: Codable, Hashable {
        var turns: Int
        var digest: UInt64
        var heads: [String]
        var order: [String]
    }

    /// Two nodes in turn over one file, with many runs that do all kinds of things.
    private static func record(_ seed: UInt64?, onDisk: Bool = false) async throws -> Record {
        let simulation = Simulation(seed: seed), world = onDisk ? try World(onDisk: simulation) : World(simulation)
        let heads = try await simulation.run {
            let first = simulation.process("first")
            var engine = try await world.open(first) { Self.workflows(world.log) }
            var runs: [Run<String>] = []
            for number in 1...6 { runs.append(try await engine.start(Flow.self, input: "\(number)", by: World.ada)) }
            try await simulation.sleep(for: .hours(5))
            for run in runs { try await run.signal(Poke.self, "go", by: World.ada) }
            try await simulation.sleep(for: .hours(5))
            await first.shutDown()
            engine = try await world.open(simulation.process("second")) { Self.workflows(world.log) }
            for run in runs { _ = try await engine.result(of: run.id) }
            return try await world.heads(engine)
        }
        return Record(turns: simulation.trace.turns, digest: simulation.trace.digest, heads: heads, order: world.log.all)
    }

    @WorkflowBuilder private static func workflows(_ log: Lines) -> [RegisteredWorkflow] {
        Flow { input, context in
            async let part = context.child(Part.self, input: input, irreversible: "x")
            async let poke = context.signal(Poke.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for place in 1...3 {
                    group.addTask {
                        try await context.act(
                            "place", id: "\(place)", input: input, .idempotent(retention: .forever), irreversible: "x"
                        ) {
                            input, step in
                            log.add("\(input).\(place).\(step.attempt)")
                            if step.attempt <= place { throw Hiccup() }
                        }
                    }
                }
                try await group.waitForAll()
            }
            return try await "\(poke) \(part) \(context.random("dice"))"
        }
        Part { input, context in
            try await context.sleep(for: .days(2))
            return try await context.read("name") { "part-\(input)" }
        }
    }

    private struct Hiccup: Error {}

    @Test(arguments: [nil, 1, 2, 3]) func `a seed gives the same turns and the same histories every time`(seed: UInt64?)
        async throws
    {
        let first = try await Self.record(seed)
        #expect(first.heads.count == 12)
        #expect(try await Self.record(seed) == first)
    }

    @Test func `a store with threads of its own changes nothing of that`() async throws {
        let first = try await Self.record(4, onDisk: true)
        #expect(first.heads.count == 12)
        #expect(try await Self.record(4, onDisk: true) == first)
    }

    @Test func `a seed says how long each turn takes`() async throws {
        func end(_ seed: UInt64, _ length: Duration) async throws -> Timestamp {
            let simulation = Simulation(seed: seed, turnLength: length), world = World(simulation)
            return try await simulation.run {
                let engine = try await world.open(simulation.process("node")) { Flow { input, _ in input } }
                _ = try await engine.start(Flow.self, input: "", by: World.ada).result()
                return simulation.now
            }
        }
        let begin = Simulation().now, first = try await end(1, .milliseconds(1))
        #expect(first > begin)
        #expect(first < begin + .seconds(1))
        #expect(try await end(1, .milliseconds(1)) == first)
        #expect(try await end(2, .milliseconds(1)) != first)
        #expect(try await end(1, .zero) == begin)
    }

    @Test func `seeds differ in the order of what is done and in the histories that come of it`() async throws {
        var records: [Record] = []
        for seed in 1...4 { records.append(try await Self.record(UInt64(seed))) }
        #expect(Set(records.map(\.digest)).count == 4)
        #expect(Set(records.map(\.heads)).count == 4)
        #expect(Set(records.map(\.order)).count == 4)
    }

    /// Another process hashes with other seeds and has other addresses.
    @Test func `a seed gives the same in another process`() async throws {
        let child = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            let record = try await Self.record(7)
            print("record " + String(decoding: try JSONEncoder().encode(record), as: UTF8.self))
        }
        let output = String(decoding: try #require(child).standardOutputContent, as: UTF8.self)
        let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("record ") })
        let record = try JSONDecoder().decode(Record.self, from: Data(line.dropFirst(7).utf8))
        #expect(record == (try await Self.record(7)))
    }

    @Test func `a thousand sleeps of ten weeks take no time`() async throws {
        let simulation = Simulation(), world = World(simulation)
        let start = simulation.now
        try await simulation.run {
            let engine = try await world.open(simulation.process("node")) {
                Flow { _, context in
                    for number in 1...1_000 { try await context.sleep(for: .days(70), id: "\(number)") }
                    return "done"
                }
            }
            #expect(try await engine.start(Flow.self, input: "", by: World.ada).result() == "done")
        }
        #expect(simulation.now >= start + .days(70_000))
    }
}
