import Foundation
import Perdure

/// Runs the benchmarks, one after the other.
package struct Bench: Sendable {
    let settings: BenchSettings

    package init(_ settings: BenchSettings, on ground: BenchGround) {
        var settings = settings
        settings.ground = ground
        self.settings = settings
    }

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
        case .h: try await Nodes(settings: settings).measure()
        case .i: try await ProcessStart(settings: settings).measure()
        case .j: try await Together(settings: settings).processorTime()
        }
    }
}

extension BenchSettings {
    /// An empty place for the body, removed afterwards.
    func withPlace<Result>(_ name: String, _ body: (BenchPlace) async throws -> Result) async throws -> Result {
        try await ground.withPlace(name, body)
    }

    /// A finished run to take the rows of, written by an engine that is not measured.
    func template<W: Workflow>(_ type: W.Type, finish: (BenchEngine) async throws -> Void) async throws -> RunTemplate {
        try await withPlace("template") { place in
            try await BenchEngine.with(place) { try await finish($0) }
            return try RunTemplate(place, type)
        }
    }

    /// An empty folder for the body's own files, removed afterwards.
    func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let path = "\(folder)/\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(path)
    }
}
