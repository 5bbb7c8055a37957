import Foundation
import Perdure

/// Runs the benchmarks, one after the other.
package struct Bench: Sendable {
    let settings: BenchSettings

    package init(_ settings: BenchSettings) { self.settings = settings }

    /// - Throws: `BenchError` if the work that was measured was not done as it should be.
    package func run() async throws -> BenchReport {
        try BenchError.check(SyncCounter.install, "SQLite's layer to the operating system cannot be counted here")
        var measurements: [Measurement] = []
        for benchmark in settings.only {
            settings.progress("\(benchmark.rawValue): \(benchmark.title)")
            measurements += try await run(benchmark)
        }
        return BenchReport(measurements: measurements)
    }

    private func run(_ benchmark: Benchmark) async throws -> [Measurement] {
        switch benchmark {
        case .a: try await OneAtATime(settings: settings).measure()
        case .b: try await Together(settings: settings).throughput()
        case .c: try await Parallel(settings: settings).measure()
        case .d: try await Waiting(settings: settings).measure()
        case .e: try await Timers(settings: settings).measure()
        case .f: try await Killed(settings: settings).measure()
        case .g: try await LongRun(settings: settings).measure()
        case .i: try await ProcessStart(settings: settings).measure()
        case .j: try await Together(settings: settings).processorTime()
        }
    }
}

extension BenchSettings {
    /// A store's file for the body, removed afterwards with all that lies beside it.
    func withFile<Result>(_ name: String, _ body: (String) async throws -> Result) async throws -> Result {
        let path = file(name)
        defer {
            for end in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + end) }
        }
        return try await body(path)
    }

    /// A finished run to take the rows of, written by an engine that is not measured.
    func template<W: Workflow>(_ type: W.Type, finish: (BenchEngine) async throws -> Void) async throws -> RunTemplate {
        try await withFile("template") { path in
            try await BenchEngine.with(path) { try await finish($0) }
            return try RunTemplate(path, type)
        }
    }
}
