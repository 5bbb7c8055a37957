import ArgumentParser
import Foundation
import PerdureBench
import PerdureProcess

/// Measures the engine, beside a program that writes the same rows by hand.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures the engine beside a hand-written program that stores the same rows.",
        discussion: """
            The engine and the hand-written program take turns on the same disk in the same run, so what counts is their ratio. \
            What was measured is checked in the store afterwards; exit code 1 says that the work was not done as it should be. \
            Build it with optimisation. docs/performance.md tells what each benchmark is for.
            """)

    enum Store: String, ExpressibleByArgument, CaseIterable { case sqlite }

    @Option(help: "The kind of store.") var store = Store.sqlite
    @Option(help: ArgumentHelp("Which benchmarks, by their letters: a,b,c,d,e,f,g,i,j. Default: all.", valueName: "letters"))
    var only: String?
    @Option(
        help: ArgumentHelp(
            "A folder on the disk to be measured. Default: the system's folder for temporary files.", valueName: "path"))
    var folder: String?
    @Option(help: "How often the engine and the hand-written program take turns.") var rounds: Int?
    @Flag(help: "Small numbers, to see that everything works. The figures say nothing about speed.") var quick = false
    @Flag(help: "Leave out the million waiting runs and the million events, which take minutes.") var withoutMillions = false
    @Flag(help: "Print a list of JSON objects and nothing else.") var json = false

    func validate() throws { _ = try benchmarks }

    private var benchmarks: [Benchmark] {
        get throws {
            guard let only else { return Benchmark.allCases }
            return try only.split(separator: ",").map { letter in
                guard let benchmark = Benchmark(rawValue: String(letter)) else {
                    throw ValidationError("There is no benchmark '\(letter)'.")
                }
                return benchmark
            }
        }
    }

    func run() async throws {
        let place = URL(fileURLWithPath: folder ?? NSTemporaryDirectory()).appending(path: "perdure-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        var settings = BenchSettings(folder: place.path, executable: LineProcess.ownExecutable)
        settings.only = try benchmarks
        settings.rounds = max(1, rounds ?? (quick ? 1 : 3))
        settings.isQuick = quick
        settings.isWithoutMillions = withoutMillions
        if !json { settings.progress = { try? FileHandle.standardError.write(contentsOf: Data("\($0)\n".utf8)) } }
        let report = try await Bench(settings).run()
        print(json ? try report.json : report.table)
    }
}

/// A process of a benchmark.
struct BenchWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-worker", abstract: "Does a benchmark's work in a process of its own.", shouldDisplay: false)

    @Option(help: "What to do, as JSON.") var order: String

    func run() async throws { try await BenchWorker(order: order).run() }
}
