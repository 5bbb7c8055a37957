import ArgumentParser
import Foundation

/// A steady mixed load on nodes over one PostgreSQL, for as long as one likes, and whether anything grows under it.
struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak", abstract: "Keeps nodes on PostgreSQL under a steady load, and looks whether anything grows.",
        discussion: """
            Starts a server of its own and several processes that start runs of every kind at a steady rate: ten steps, timers, messages, \
            children, a queue, transactions, large values, endless loops. Histories expire after a minute. Now and then it measures dead \
            tuples, what is written to the log, the size of the tables, memory and latency. At the end the first quarter is left out and \
            the halves of the rest are compared. Exit code 0 says that every run came to what it should have, that every row holds together and \
            that nothing has grown; 1 says that it is not true. A soak of fewer than \(SoakReport.leastSamples) samples compares nothing. Needs \
            the programs of PostgreSQL, and Linux.
            """)

    @Option(help: "How long runs are started.") var minutes = 60.0
    @Option(help: "How many nodes.") var nodes = 2
    @Option(help: "How many runs are started in a second, by all nodes together.") var rate = 60.0
    @Option(help: "Seconds between two samples.") var interval = 60.0
    @Flag(help: "Print the last line, a JSON object, and nothing else.") var json = false

    func validate() throws {
        guard (0.05...10_080).contains(minutes) else { throw ValidationError("--minutes has to be from 0.05 to 10080.") }
        guard (1...16).contains(nodes) else { throw ValidationError("--nodes has to be from 1 to 16.") }
        guard (0.1...10_000).contains(rate) else { throw ValidationError("--rate has to be from 0.1 to 10000.") }
        guard (1...3_600).contains(interval) else { throw ValidationError("--interval has to be from 1 to 3600.") }
    }

    func run() async throws {
        // Not below TMPDIR, which may be another user's alone; and the path of a socket must be short.
        let name = "perdure-soak-\(UUID().uuidString.lowercased().prefix(8))"
        let settings = SoakSettings(
            duration: .seconds(minutes * 60), interval: .seconds(interval), nodes: nodes, rate: rate,
            folder: URL(fileURLWithPath: "/tmp").appending(path: name))
        let isQuiet = json
        // Server and nodes are gone when somebody has ended it.
        let ended = try await unlessInterrupted {
            try await Soak.run(settings) { sample in if !isQuiet { printAtOnce(Self.line(sample)) } }
        }
        guard let report = ended else { throw ExitCode(130) }
        print(try report.reportLine)
        if !report.isGood { throw ExitCode(1) }
    }

    private static func line(_ sample: SoakSample) -> String {
        """
        minute \(sample.minute): \(sample.runsPerSecond) runs/s, ten steps in \(sample.latencyP50Ms) ms (p99 \(sample.latencyP99Ms)), \
        \(Int(sample.deadTuples)) dead tuples (\(sample.deadestTable)), \(sample.walMbPerMinute) MB of log a minute, store \
        \(sample.storeMb) MB, nodes \(sample.nodesMemoryMb) MB, server \(sample.serverMemoryMb) MB
        """
    }
}
