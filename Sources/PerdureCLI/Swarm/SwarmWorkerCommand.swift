import ArgumentParser
import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdurePostgres
import PerdureSQLite
import PerdureStore

/// The process that is killed: an engine that starts the runs it is told to. It ends when its standard input does.
struct SwarmWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swarm-worker", abstract: "Hosts the swarm's runs, to be killed.", shouldDisplay: false)

    /// A file, or the address of a database.
    @Option var store: String
    @Option var seed: UInt64
    /// What the executable is taken for.
    @Option var build = "swarm"
    @Option var without: String?

    /// Starts at the same time, so that many share a commit.
    private static let startsAtOnce = 32

    func run() async throws {
        let wire = Wire(), store = store, without = without.flatMap(SwarmDefence.init)
        let engine = try await Self.engine(store, build, SwarmRun(wire: wire, defence: without))
        let (runs, continuation) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            group.addTask { await Self.listen(wire) { for run in $0 { continuation.yield(run) } } }
            for _ in 0..<Self.startsAtOnce {
                group.addTask { [seed] in
                    for await run in runs { try await Self.start(run, seed, on: engine, wire) }
                    // Only the end of the input ends the group.
                    try await Task.sleep(for: .seconds(86_400))
                }
            }
            wire.say("r")
            try await group.next()
            group.cancelAll()
            // What the cancelled ones throw is no news.
            while await group.nextResult() != nil {}
        }
    }

    private static func start(_ run: Int, _ seed: UInt64, on engine: Engine, _ wire: Wire) async throws {
        let order = SwarmRun.Order(shape: ShapeMaker.shape(of: run, seed: seed))
        let handle = try await engine.start(SwarmRun.self, input: order, key: "run-\(run)", by: Principal(.workload, "swarm"))
        wire.say("s \(run) \(handle.id)")
    }

    private static func engine(_ store: String, _ build: String, _ workflow: SwarmRun) async throws -> Engine {
        var configuration = EngineConfiguration()
        // Hashing a debug build's executable at each of many starts would take longer than everything else.
        configuration.build = build
        // Kills are many, and none of them is a run's fault.
        configuration.poisonLimit = 1_000_000
        configuration.shutdownGrace = .seconds(5)
        var logger = Logger(label: "swarm-worker") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        return try await Engine(store: .swarm(store), configuration: configuration, logger: logger) { workflow }
    }

    /// Reads answers, and which runs to start, until the input ends.
    private static func listen(_ wire: Wire, _ start: @escaping @Sendable (Range<Int>) -> Void) async {
        let (end, continuation) = AsyncStream<Void>.makeStream()
        Thread.detachNewThread {
            while let line = readLine() {
                let words = line.split(separator: " ")
                switch (words.first, words.count) {
                case ("a", 3): if let number = Int(words[1]) { wire.answered(number, String(words[2])) }
                case ("g", 3): if let first = Int(words[1]), let end = Int(words[2]), first < end { start(first..<end) }
                default: break
                }
            }
            continuation.finish()
        }
        for await _ in end {}
    }
}

extension StoreConfiguration {
    /// A file, or a database where the swarm's nodes are taken over sooner than others.
    static func swarm(_ store: String) -> StoreConfiguration {
        guard store.hasPrefix("postgres") else { return .sqlite(store) }
        var options = PostgresOptions()
        options.leaseLength = .seconds(6)
        options.answerLimit = .seconds(8)
        options.logger.logLevel = .error
        return .postgres(store, options: options)
    }
}
