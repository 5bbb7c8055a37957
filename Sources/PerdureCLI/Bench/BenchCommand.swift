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

    @Option(
        help: ArgumentHelp(
            """
            'sqlite'; 'postgres' for a server that is started for it, with the programs that are installed; or the URL of a database \
            from which others can be made, with the password in PGPASSWORD.
            """, valueName: "store"))
    var store = "sqlite"
    @Option(
        help: ArgumentHelp("Which benchmarks, by their letters: a,b,c,d,e,f,g,h,i,j. Default: all.", valueName: "letters"))
    var only: String?
    @Option(
        help: ArgumentHelp(
            "A folder on the disk to be measured. Default: the system's folder for temporary files.", valueName: "path"))
    var folder: String?
    @Option(help: "How often the engine and the hand-written program take turns.") var rounds: Int?
    @Flag(help: "Small numbers, to see that everything works. The figures say nothing about speed.") var quick = false
    @Flag(help: "Leave out the million waiting runs and the million events, which take minutes.") var withoutMillions = false
    @Flag(help: "Print a list of JSON objects and nothing else.") var json = false

    func validate() throws {
        if store.contains("://"), URLComponents(string: store)?.password != nil {
            throw ValidationError(
                "The URL is passed on to other processes, where everybody can read it: give its password in PGPASSWORD.")
        }
        _ = try benchmarks(on: kind)
    }

    private var kind: BenchKind {
        get throws {
            if store.hasPrefix("postgres://") || store.hasPrefix("postgresql://") { return .postgres }
            guard let kind = BenchKind(rawValue: store) else {
                throw ValidationError("'\(store)' is neither sqlite nor postgres nor the URL of a PostgreSQL database.")
            }
            return kind
        }
    }

    private func benchmarks(on kind: BenchKind) throws -> [Benchmark] {
        let all = Benchmark.all(on: kind)
        guard let only else { return all }
        return try only.split(separator: ",").map { letter in
            guard let benchmark = Benchmark(rawValue: String(letter)) else {
                throw ValidationError("There is no benchmark '\(letter)'.")
            }
            guard all.contains(benchmark) else {
                throw ValidationError(
                    "Benchmark \(letter) is about several nodes, which an embedded store cannot have: --store postgres.")
            }
            return benchmark
        }
    }

    func run() async throws {
        let kind = try kind
        // A server's user has to get there, and the path of its socket must be short.
        let parent = folder ?? (kind == .postgres ? "/tmp" : NSTemporaryDirectory())
        let place = URL(fileURLWithPath: parent).appending(path: "perdure-bench-\(UUID().uuidString.lowercased().prefix(8))")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        var settings = BenchSettings(folder: place.path, executable: LineProcess.ownExecutable)
        settings.only = try benchmarks(on: kind)
        settings.rounds = max(1, rounds ?? (quick ? 1 : 3))
        settings.isQuick = quick
        settings.isWithoutMillions = withoutMillions
        if !json { settings.progress = { try? FileHandle.standardError.write(contentsOf: Data("\($0)\n".utf8)) } }
        let chosen = settings, store = store
        let measured = try await unlessInterrupted {
            if kind == .sqlite { return try await Bench(chosen, on: .folder(place.path)).run() }
            if store != "postgres" { return try await Bench(chosen, on: .server(store)).run() }
            return try await Self.withServer(in: place) { try await Bench(chosen, on: .server($0)).run() }
        }
        guard let report = measured else { throw ExitCode(130) }
        print(json ? try report.json : report.table)
    }

    private static func withServer<Result>(in folder: URL, _ body: (_ url: String) async throws -> Result) async throws -> Result
    {
        let password = UUID().uuidString, port = try PostgresServer.freePort()
        let server = PostgresServer(
            try PostgresPrograms(), folder: folder.appending(path: "server"), port: port, password: password)
        setenv("PGPASSWORD", password, 1)
        defer { server.remove() }
        try await server.make()
        try await server.start()
        return try await body("postgres://\(PostgresServer.user)@127.0.0.1:\(port)/postgres")
    }
}

/// A process of a benchmark.
struct BenchWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-worker", abstract: "Does a benchmark's work in a process of its own.", shouldDisplay: false)

    @Option(help: "What to do, as JSON.") var order: String

    func run() async throws { try await BenchWorker(order: order).run() }
}
