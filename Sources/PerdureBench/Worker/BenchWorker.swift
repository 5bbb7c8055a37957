import Foundation
import Perdure
import PerdureEngine
import Synchronization

/// What a child process does. It ends when its standard input does.
package struct BenchWorker: Sendable {
    private let order: WorkerOrder
    /// When the process began with its own work.
    private let beginning = Usage.now

    package init(order: String) throws { self.order = try JSONDecoder().decode(WorkerOrder.self, from: Data(order.utf8)) }

    package func run() async throws {
        switch order.task {
        case .crash: try await crash()
        case .work: try await work()
        case .resume: try await resume()
        case .resumeByHand: try resumeByHand()
        case .park: try await park()
        case .start: try await start()
        case .startByHand: try await startByHand()
        }
    }

    // MARK: Dying and coming back

    private func crash() async throws {
        let counter = try order.counter.map(CounterFile.init)
        let recorder = Recorder { run, step in if let step { counter?.add(run, step) } }
        let engine = try await BenchEngine.open(order.place, recorder)
        let order = order
        try await engine.start(Sequence.self, order.runs) { Sequence.Input(run: $0, steps: order.steps, bytes: order.bytes) }
        await untilInputEnds()
        try await engine.stop()
    }

    private func work() async throws {
        let watch = MovingWatch(expected: order.runs, since: beginning.time)
        let engine = try await BenchEngine.open(order.place, Recorder { run, _ in watch.moves(run) })
        Self.say(.idle, [:])
        await untilInputEnds()
        try await engine.stop()
    }

    private func resume() async throws {
        let counter = try order.counter.map(CounterFile.init), watch = MovingWatch(expected: order.runs, since: beginning.time)
        let recorder = Recorder { run, step in
            if let step { counter?.add(run, step) }
            watch.moves(run)
        }
        let engine = try await BenchEngine.open(order.place, recorder)
        let work = try order.place.work()
        while try work.openRuns() > 0 { try await Task.sleep(for: .milliseconds(2)) }
        let used = Usage.now - beginning
        var figures = ["cpu_ms": used.cpu * 1e3, "peak": Double(Memory.peak)]
        // A server's commits are not this process's alone.
        if case .file = order.place { figures["syncs"] = Double(used.syncs) }
        Self.say(.done, figures)
        try await engine.stop()
    }

    private func resumeByHand() throws {
        let resumed = try order.place.resumeByHand()
        try BenchError.check(resumed.runs == order.runs && resumed.bytes > 0, "\(resumed.runs) of \(order.runs) runs were there")
        let now = Usage.now.time
        Self.say(.moving, ["at": now, "since_open": now - beginning.time])
        Self.say(.done, ["peak": Double(Memory.peak)])
    }

    // MARK: Waiting

    private func park() async throws {
        let value = Value.text(order.bytes), order = order
        let engine = try await BenchEngine.open(order.place) { $0.cachedRuns = 0 }
        var parked = 0
        func park(_ count: Int) async throws {
            for first in stride(from: 0, to: count, by: 10_000) {
                try await engine.start(Waiter.self, min(10_000, count - first)) { _ in value }
            }
            parked += count
            try await engine.wait(for: parked, in: "waiting")
            // They leave memory after they have been parked.
            try await Task.sleep(for: .seconds(1))
        }
        // What the first runs leave behind, the next ones use again.
        try await park(min(order.runs, 10_000))
        // What the allocator happens to keep between two looks is some megabytes more or less: much for a few runs, so several times.
        let turns = order.runs > 10_000 ? 1 : 5, runs = Double(order.runs), start = Usage.now
        var memory: [Double] = [], disk: [Double] = []
        for _ in 0..<turns {
            let before = try state()
            try await park(order.runs)
            let after = try state()
            memory.append(Double(after.memory - before.memory) / runs)
            disk.append(Double(after.disk - before.disk) / runs - Double(order.bytes))
        }
        let usage = Usage.now - start, all = runs * Double(turns)
        Self.say(
            .done,
            [
                "bytes_per_run": memory.median, "disk_per_run": disk.median, "cpu_ms_per_run": usage.cpu * 1e3 / all,
                "syncs_per_run": Double(usage.syncs) / all,
            ])
        try await engine.stop()
    }

    /// The pages that SQLite keeps are limited by its settings, not by the number of runs, so they are left out.
    private func state() throws -> (memory: Int, disk: Int) {
        let disk = try order.place.work().bytesOnDisk()
        return (Memory.resident - Memory.ofSQLite, disk)
    }

    // MARK: Starting

    private func start() async throws {
        let recorder = Recorder { _, step in if step == 0 { Self.say(.moving, ["at": Usage.now.time]) } }
        let engine = try await BenchEngine.open(order.place, recorder)
        let order = order
        try await engine.start(Sequence.self, 1) { Sequence.Input(run: $0, steps: 1, bytes: order.bytes) }
        try await engine.wait(for: 1, in: "completed")
        try await Task.sleep(for: .seconds(1))
        Self.say(.idle, ["memory": Double(Memory.resident)])
        await untilInputEnds()
        try await engine.stop()
    }

    private func startByHand() async throws {
        try order.place.startByHand()
        Self.say(.moving, ["at": Usage.now.time])
        try await Task.sleep(for: .seconds(1))
        Self.say(.idle, ["memory": Double(Memory.resident)])
        await untilInputEnds()
    }

    // MARK: Talking

    static func say(_ event: WorkerReport.Event, _ figures: [String: Double]) {
        guard var line = try? JSONEncoder().encode(WorkerReport(event: event, figures: figures)) else { return }
        line.append(UInt8(ascii: "\n"))
        try? FileHandle.standardOutput.write(contentsOf: line)
    }

    private func untilInputEnds() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        Thread.detachNewThread {
            while (try? FileHandle.standardInput.read(upToCount: 1)).flatMap({ $0.isEmpty ? nil : $0 }) != nil {}
            continuation.finish()
        }
        for await _ in stream {}
    }
}

/// Says when so many different runs have gone on.
private final class MovingWatch: Sendable {
    private let seen = Mutex<Set<Int>>([])
    private let expected: Int
    private let beginning: Double

    init(expected: Int, since beginning: Double) {
        self.expected = expected
        self.beginning = beginning
    }

    func moves(_ run: Int) {
        let isLast = seen.withLock { $0.insert(run).inserted && $0.count == expected }
        guard isLast else { return }
        let now = Usage.now.time
        BenchWorker.say(.moving, ["at": now, "since_open": now - beginning])
    }
}
