import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdurePostgres
import Synchronization

/// What a node of a soak has done since it was asked last.
struct SoakPulse: Codable, Sendable {
    var started = 0
    var ended = 0
    /// Runs that have not come to what they should have, and calls that threw.
    var failures: [String] = []
    /// Of runs of ten steps, from the call of `start` to the result, in milliseconds.
    var latencies: [Double] = []
    /// Runs that this node has started and that are not at their end.
    var open = 0
}

/// A node that gives itself a steady load. It tells what it has done for each line `tell`, starts nothing any more after `quiet`, and ends
/// with its standard input.
struct SoakWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak-worker", abstract: "Hosts the runs of a soak.", shouldDisplay: false)

    @Option var store: String
    @Option var number: Int
    /// Runs started in a second.
    @Option var rate: Double

    static let principal = Principal(.workload, "soak")
    static let queue = "soak"
    /// Long-lived loops of each node.
    static let loops = 5

    func run() async throws {
        let engine = try await Self.engine(store), load = SoakLoad(engine, node: number)
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            group.addTask { [rate] in
                try await load.begin()
                try await load.go(rate: rate)
                // Only the end of the input ends the group.
                try await Task.sleep(for: .seconds(86_400 * 366))
            }
            group.addTask { await Self.listen(load) }
            try await group.next()
            group.cancelAll()
            // What the cancelled ones throw is no news.
            while await group.nextResult() != nil {}
        }
    }

    private static func engine(_ store: String) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.build = "soak"
        // So short that everything that comes has gone again several times.
        configuration.retention = .seconds(60)
        configuration.tombstoneRetention = .seconds(60)
        var logger = Logger(label: "soak-worker") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return try await Engine(store: .postgres(store), configuration: configuration, logger: logger) {
            SoakSteps()
            SoakSleep()
            SoakMessage()
            SoakFamily()
            SoakBooking()
            SoakValue()
            SoakLoop()
        }
    }

    private static func listen(_ load: SoakLoad) async {
        let (lines, continuation) = AsyncStream<String>.makeStream()
        Thread.detachNewThread {
            while let line = readLine() { continuation.yield(line) }
            continuation.finish()
        }
        let encoder = JSONEncoder()
        for await line in lines {
            if line == "quiet" { load.isQuiet.store(true, ordering: .relaxed) }
            guard line == "tell", let answer = try? encoder.encode(load.takePulse()) else { continue }
            try? FileHandle.standardOutput.write(contentsOf: answer + Data("\n".utf8))
        }
    }
}

/// Starts runs one after the other, whatever becomes of those before, and looks how they end.
final class SoakLoad: Sendable {
    let isQuiet = Atomic(false)
    private let engine: Engine
    private let node: Int
    private let pulse = Mutex(SoakPulse())

    init(_ engine: Engine, node: Int) {
        self.engine = engine
        self.node = node
    }

    func takePulse() -> SoakPulse {
        pulse.withLock { pulse in
            defer { pulse = SoakPulse(open: pulse.open) }
            return pulse
        }
    }

    func begin() async throws {
        try await engine.client.setQueue(
            SoakWorkerCommand.queue, limits: QueueLimits(concurrency: 40, perKey: 10), by: SoakWorkerCommand.principal)
        for loop in 0..<SoakWorkerCommand.loops {
            _ = try await engine.start(SoakLoop.self, input: 0, key: "\(node)-\(loop)", by: SoakWorkerCommand.principal)
        }
    }

    /// Until it is told to be quiet, or its task is cancelled.
    func go(rate: Double) async throws {
        let begin = ContinuousClock.now
        try await withThrowingDiscardingTaskGroup { group in
            var number = 0
            while !isQuiet.load(ordering: .relaxed) {
                try await Task.sleep(until: begin + .seconds(Double(number) / rate))
                number += 1
                let order = number
                pulse.withLock {
                    $0.started += 1
                    $0.open += 1
                }
                group.addTask { await self.look(order) }
            }
        }
    }

    private func look(_ number: Int) async {
        var failure: String?
        do {
            failure = try await play(number) ? nil : "a run has not come to what it should have: order \(number)"
        } catch {
            failure = "order \(number): \(error)"
        }
        pulse.withLock { pulse in
            pulse.open -= 1
            pulse.ended += 1
            if let failure { pulse.failures.append(failure) }
        }
    }

    /// Of twenty runs half are ten steps; each other way has its share. Returns whether the run has come to what it should have.
    private func play(_ number: Int) async throws -> Bool {
        switch number % 20 {
        case 0, 1, 2: try await output(SoakSleep.self, 1 + number % 20 * 7) == 1 + number % 20 * 7
        case 3, 4: try await message(number)
        case 5: try await output(SoakFamily.self, number) == 3
        case 6, 7:
            try await output(
                SoakSleep.self, 1, in: QueuePlace(SoakWorkerCommand.queue, key: "\(number / 20 % 5)", priority: number / 20 % 10))
                == 1
        case 8: try await output(SoakBooking.self, number) == Nothing()
        case 9: try await output(SoakValue.self, number) == 100_000
        default: try await steps(number)
        }
    }

    private func output<W: Workflow>(_ type: W.Type, _ input: W.Input, in place: QueuePlace? = nil) async throws -> W.Output {
        try await engine.start(type, input: input, queue: place, by: SoakWorkerCommand.principal).result()
    }

    private func message(_ number: Int) async throws -> Bool {
        let run = try await engine.start(SoakMessage.self, input: number, by: SoakWorkerCommand.principal)
        // Half of them wait a while before they hear.
        if number.isMultiple(of: 2) { try await Task.sleep(for: .seconds(5)) }
        try await engine.client.signal(run.id, SoakMessage.Word.self, 1, by: SoakWorkerCommand.principal)
        return try await run.result() == number + 1
    }

    private func steps(_ number: Int) async throws -> Bool {
        let begin = ContinuousClock.now
        let sum = try await output(SoakSteps.self, number)
        let latency = (ContinuousClock.now - begin) / .microseconds(1) / 1_000
        pulse.withLock { $0.latencies.append(latency) }
        return sum == 10 * (number + 1)
    }
}
