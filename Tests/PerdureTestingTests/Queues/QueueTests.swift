import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

/// Runs that wait for their turn: who begins when, and what may happen to them before.
@Suite(.timeLimit(.minutes(10))) struct QueueTests {
    private func isSound(_ client: Client) async throws { #expect(try await client.store.audit() == []) }

    // MARK: Limits

    @Test(arguments: [nil, 1, 2, 3] as [UInt64?])
    func `no more runs of a queue are under way than it allows, and all of them have their turn`(seed: UInt64?) async throws {
        let bench = QueueBench(seed: seed)
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 2))
            var runs: [RunID] = []
            for number in 0..<7 { runs.append(try await engine.enqueue("\(number)")) }
            let first = try #require(try await engine.client.history(of: runs[0]).first).attributes.object()
            #expect(first["queue"] == ["name": "q", "key": "", "priority": 5])
            for run in runs { _ = try await engine.result(of: run) }
            #expect(bench.begun.count == 7 && bench.most == 2)
            try await isSound(engine.client)
            #expect(try await engine.client.queues().map(\.held) == [0])
        }
        #expect(bench.world.complaints.all == [])
    }

    @Test func `a queue on disk outlives the process, with its limits, its places and its line`() async throws {
        let bench = try QueueBench(onDisk: 1)
        try await bench.simulation.run {
            let first = bench.simulation.process("first")
            var engine = try await bench.world.open(first) { bench.flow(taking: .hours(1)) }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 2, perKey: 1), by: World.ada)
            var runs: [RunID] = []
            for number in 0..<5 { runs.append(try await engine.enqueue("\(number)", key: "\(number % 3)", deadline: .days(1))) }
            try await bench.simulation.sleep(for: .minutes(1))
            #expect(bench.begun.sorted() == ["0", "1"])
            first.crash()
            engine = try await bench.world.open(bench.simulation.process("second")) { bench.flow(taking: .hours(1)) }
            try await bench.simulation.sleep(for: .minutes(1))
            let info = try #require(try await engine.client.queues().first)
            #expect(info.held == 2 && info.waiting == 3 && info.limits == QueueLimits(concurrency: 2, perKey: 1))
            try await engine.client.cancel(runs[4], by: World.ada)
            for run in runs.prefix(4) { _ = try await engine.result(of: run) }
            #expect(bench.most == 2 && bench.begun.count == 4)
            #expect(try await engine.state(of: runs[4]) == "cancelled")
            try await isSound(engine.client)
        }
    }

    @Test func `runs of one queue begin in the order in which they were started`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1))
            var last: RunID?
            for number in 0..<5 { last = try await engine.enqueue("\(number)") }
            _ = try await engine.result(of: try #require(last))
        }
        #expect(bench.begun == ["0", "1", "2", "3", "4"])
    }

    // Promise: 46
    @Test func `keys take turns, however many runs one of them has and whatever their priorities`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1))
            var runs: [RunID] = []
            for number in 0..<6 { runs.append(try await engine.enqueue("a\(number)", key: "a", priority: 9)) }
            for number in 0..<2 { runs.append(try await engine.enqueue("b\(number)", key: "b", priority: 0)) }
            for run in runs { _ = try await engine.result(of: run) }
            try await isSound(engine.client)
        }
        #expect(bench.begun == ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a5"])
    }

    @Test func `of a key the highest priority goes first, then the oldest`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 0))
            var runs: [RunID] = []
            for (input, priority) in [("low", 1), ("first", 5), ("high", 9), ("second", 5)] {
                runs.append(try await engine.enqueue(input, priority: priority))
            }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            for run in runs { _ = try await engine.result(of: run) }
        }
        #expect(bench.begun == ["high", "first", "second", "low"])
    }

    @Test func `a fresh key does not pass those that wait`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1))
            var runs: [RunID] = []
            for key in ["z0", "z1", "z2"] { runs.append(try await engine.enqueue(key, key: key)) }
            // While z0 is under way; its name comes first.
            try await bench.simulation.sleep(for: .seconds(1))
            runs.append(try await engine.enqueue("a", key: "a"))
            for run in runs { _ = try await engine.result(of: run) }
        }
        #expect(bench.begun == ["z0", "z1", "z2", "a"])
    }

    @Test func `of one key no more are under way than its limit, and others pass it`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 3, perKey: 1))
            var runs: [RunID] = []
            for number in 0..<3 { runs.append(try await engine.enqueue("a\(number)", key: "a")) }
            runs.append(try await engine.enqueue("b", key: "b"))
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(bench.begun.sorted() == ["a0", "b"])
            for run in runs { _ = try await engine.result(of: run) }
            #expect(bench.begun.count == 4 && bench.most == 2 && bench.mostOfKey == 1)
        }
    }

    @Test func `a queue admits no faster than its rate, but for a burst after a quiet time`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let rate = Rate(1, per: .seconds(30), burst: 3)
            let engine = try await bench.open(QueueLimits(concurrency: 100, rate: rate), taking: .seconds(1))
            let begin = bench.simulation.now
            var runs: [RunID] = []
            for number in 0..<6 { runs.append(try await engine.enqueue("\(number)")) }
            for run in runs { _ = try await engine.result(of: run) }
            let times = bench.times.map { $0.duration(since: begin) / .seconds(1) }
            #expect(zip(times, [0, 0, 0, 30, 60, 90]).allSatisfy { abs($0 - $1) < 0.1 }, "\(times)")
        }
    }

    @Test func `raising a limit admits those that wait, and lowering it ends nobody`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1))
            var runs: [RunID] = []
            for number in 0..<6 { runs.append(try await engine.enqueue("\(number)")) }
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(bench.begun.count == 1)
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 4), by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(bench.begun.count == 4)
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: Principal(.human, "bob"))
            let info = try #require(try await engine.client.queues().first)
            #expect(info.held == 4 && info.waiting == 2 && info.changedBy.id == "bob")
            for run in runs { _ = try await engine.result(of: run) }
            #expect(bench.times.suffix(2).allSatisfy { $0.duration(since: bench.times[0]) > .seconds(9) })
            try await isSound(engine.client)
        }
    }

    @Test func `a closed queue lets those go on that have places and admits nobody`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1))
            let first = try await engine.enqueue("first"), second = try await engine.enqueue("second")
            try await bench.simulation.sleep(for: .seconds(1))
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 0), by: World.ada)
            #expect(try await engine.result(of: first) == Data(#""first""#.utf8))
            try await bench.simulation.sleep(for: .days(30))
            let state = try await engine.state(of: second)
            #expect(state == "queued" && bench.begun == ["first"])
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            #expect(try await engine.result(of: second) == Data(#""second""#.utf8))
        }
    }

    @Test func `contradictory limits are refused`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open()
            let error = await #expect(throws: PerdureError.self) {
                try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 2, perKey: 3), by: World.ada)
            }
            #expect(error?.code == .usage && error?.message.contains("leave the limit of a key out") == true)
            let named = await #expect(throws: PerdureError.self) {
                try await engine.client.setQueue("a queue", limits: QueueLimits(concurrency: 2), by: World.ada)
            }
            #expect(named?.code == .nameInvalid)
            #expect(try await engine.client.queues().isEmpty)
        }
    }

    @Test func `a start into a queue that is not there writes nothing`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open()
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), in: "other", by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.enqueue("x") }
            #expect(error?.code == .queueUnknown)
            var schedule = try Schedule(.every(.minutes(1)), Flow.self, input: "x")
            schedule.queue = QueuePlace("q")
            let wanted = schedule
            let late = await #expect(throws: PerdureError.self) { try await engine.schedule("s", wanted, by: World.ada) }
            #expect(late?.code == .queueUnknown)
            #expect(try await engine.client.runs().isEmpty)
            #expect(try await engine.client.schedules().isEmpty)
        }
    }

    // MARK: Places

    @Test func `a run keeps its place while it waits, and until it has ended`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) {
                Flow { input, context in
                    if input == "parked" {
                        try await context.act("a", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { _, _ in
                            throw Broken()
                        }
                    }
                    return try await context.signal(Poke.self)
                }
            }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 2), by: World.ada)
            let parked = try await engine.enqueue("parked"), waiting = try await engine.enqueue("waits")
            let last = try await engine.enqueue("last")
            try await bench.simulation.sleep(for: .hours(1))
            let info = try #require(try await engine.client.queues().first)
            #expect(info.holders == ["parked": 1, "waiting": 1] && info.stuck == 1 && info.waiting == 1)
            #expect(try await engine.state(of: last) == "queued")
            try await engine.client.signal(waiting, Poke.self, "go", by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(try await engine.state(of: last) == "waiting")
            try await engine.client.terminate(parked, by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(try await engine.client.queues().first?.held == 1)
            try await isSound(engine.client)
        }
    }

    private struct Broken: Error {}

    @Test func `a run that is continued keeps its place, and takes no second one`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let log = bench.world.log
            let engine = try await bench.world.open(bench.simulation.process("one")) {
                Flow { input, context in
                    try await context.act("note", input: input, .idempotent(retention: .forever), irreversible: "x") { input, _ in
                        log.add(input)
                    }
                    try await context.sleep(for: .seconds(5))
                    guard let left = Int(input), left > 0 else { return input }
                    try await context.continueAsNew(Flow.self, input: "\(left - 1)")
                }
            }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            let chain = try await engine.enqueue("3", key: "k", priority: 7), other = try await engine.enqueue("other", key: "k")
            try await bench.simulation.sleep(for: .seconds(7))
            let last = try await engine.client.latest(of: chain)
            #expect(last != chain)
            let first = try #require(try await engine.client.history(of: last).first).attributes.object()
            #expect(first["queue"] == ["name": "q", "key": "k", "priority": 7])
            #expect(try await engine.client.queues().first?.held == 1)
            _ = try await engine.result(of: other)
            #expect(log.all == ["3", "2", "1", "0", "other"])
            try await isSound(engine.client)
        }
    }

    @Test func `children and forks take no places`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) {
                Flow { input, context in try await context.child(Part.self, input: input, irreversible: "x") }
                Part { input, _ in input }
            }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            let run = try await engine.enqueue("x")
            #expect(try await engine.result(of: run) == Data(#""x""#.utf8))
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 0), by: World.ada)
            let fork = try await engine.client.fork(run, at: 1, by: World.ada)
            #expect(try await engine.result(of: fork) == Data(#""x""#.utf8))
            try await isSound(engine.client)
        }
    }

    @Test func `what a schedule starts waits in its queue, and counts as open there`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 0))
            var schedule = try Schedule(.every(.minutes(1)), Flow.self, input: "x")
            schedule.queue = QueuePlace("q", key: "nightly")
            try await engine.schedule("s", schedule, by: World.ada)
            #expect(try await engine.client.schedule("s").schedule.queue == QueuePlace("q", key: "nightly"))
            try await bench.simulation.sleep(for: .minutes(5))
            let info = try await engine.client.schedule("s")
            #expect(info.started == 1 && info.skipped >= 3 && info.openRuns.count == 1)
            #expect(try await engine.client.runs().map(\.state) == ["queued"])
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: World.ada)
            try await bench.simulation.sleep(for: .minutes(3))
            #expect(bench.begun.count >= 3)
            try await isSound(engine.client)
        }
    }

    // MARK: People

    @Test func `who waits is told in which queue, behind whom, and what holds the places`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 1, perKey: 1, rate: .init(5, per: .minutes(1))))
            _ = try await engine.enqueue("first", key: "acme")
            _ = try await engine.enqueue("second", key: "acme")
            let last = try await engine.enqueue("last", key: "acme", priority: 2), other = try await engine.enqueue("o", key: "b")
            try await bench.simulation.sleep(for: .seconds(1))
            let (_, explanation) = try await engine.client.explain(last, now: bench.simulation.now)
            #expect(
                explanation.sentences.dropFirst() == [
                    "It waits in queue 'q' under key 'acme' with priority 2, behind 1 other of its key.",
                    "2 keys take turns there, with 3 runs.", "1 of 1 places are taken: 1 waiting.",
                    "Of one key it admits 1 at once.",
                    "It admits 5 in 1m at most.",
                ], "\(explanation.sentences)")
            #expect(explanation.moves.map(\.command) == [["queues"]])
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 0), by: World.ada)
            let (_, closed) = try await engine.client.explain(other, now: bench.simulation.now)
            #expect(closed.sentences.last == "The queue is closed: it admits nobody.")
            #expect(closed.moves.map(\.command) == [["queues", "set", "q", "--concurrency", "N"]])
        }
    }
}
