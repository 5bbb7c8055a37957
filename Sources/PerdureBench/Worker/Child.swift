import Foundation
import PerdureProcess

/// This program once more, in a process of its own, as a worker of a benchmark.
final class Child: Sendable {
    /// When it was started, in seconds of the monotonic clock.
    let startedAt: Double
    private let process: LineProcess

    init(_ settings: BenchSettings, _ order: WorkerOrder) throws {
        let order = String(decoding: try JSONEncoder().encode(order), as: UTF8.self)
        startedAt = Usage.now.time
        process = try LineProcess(executable: settings.executable, ["bench-worker", "--order", order])
    }

    /// The figures of the next report of this kind.
    func next(_ event: WorkerReport.Event) async throws -> [String: Double] {
        for await line in process.lines {
            let report = try JSONDecoder().decode(WorkerReport.self, from: line)
            if report.event == event { return report.figures }
        }
        throw BenchError("a process of the benchmark ended before it was \(event)")
    }

    /// Sends SIGKILL and waits until it is gone.
    func kill() async {
        process.kill()
        _ = await process.wait()
    }

    /// Lets it end by itself, and waits for that.
    func stop() async {
        process.stop()
        _ = await process.wait()
    }

    /// The last report of a process that has one.
    static func report(_ settings: BenchSettings, _ order: WorkerOrder) async throws -> [String: Double] {
        let child = try Child(settings, order)
        let figures = try await child.next(.done)
        await child.stop()
        return figures
    }
}
