import ArgumentParser
import Foundation

/// Thousands of runs of random shapes over an engine that is killed at random, and a count of what happened.
struct SwarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swarm", abstract: "Lets thousands of runs of random shapes pass over an engine that is killed at random.",
        discussion: """
            Loops, races, children, scopes, failures, timers, signals and cancellations, made from a seed. The other side recognises \
            keys for some steps and only answers questions for others, fails and keeps silent at random, and counts. At the end every \
            run has closed, every effect happened as often as its history, its result and its shape say, and every history, row and \
            family holds together. Exit code 0 says so; 1 says that it is not true.
            """)

    @Option(help: "How many runs are started; children come on top.") var runs = 10_000
    @Option(help: "Decides shapes, misfortunes and the lengths of lives.") var seed: UInt64 = 1
    @Option(help: "How long the engine is killed at random.") var minutes = 10.0
    @Option(
        help: ArgumentHelp("Take out a defence, to see that the counting works: \(Self.defences).", visibility: .hidden))
    var without: String?
    @Flag(help: "Print one JSON object and nothing else.") var json = false

    private static let defences = SwarmDefence.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        guard (1...1_000_000).contains(runs) else { throw ValidationError("--runs has to be from 1 to 1000000.") }
        guard (0...1_440).contains(minutes) else { throw ValidationError("--minutes has to be from 0 to 1440.") }
        if let without, SwarmDefence(rawValue: without) == nil {
            throw ValidationError("'\(without)' is no defence; there are \(Self.defences).")
        }
    }

    func run() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "perdure-swarm-\(UUID().uuidString.lowercased())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let settings = SwarmSettings(
            runs: runs, seed: seed, duration: .milliseconds(Int64(minutes * 60_000)), without: without.flatMap(SwarmDefence.init),
            store: folder.appending(path: "perdure.db").path)
        let isQuiet = json
        let report = try await Swarm(settings) { if !isQuiet { printAtOnce($0) } }.run()
        print(json ? try report.reportJSON : report.text)
        guard report.isGood else {
            FileHandle.standardError.write(Data("The store is kept: \(settings.store)\n".utf8))
            throw ExitCode(1)
        }
        try? FileManager.default.removeItem(at: folder)
    }
}
