import Foundation

/// This program once more, in a process of its own.
final class Child: Sendable {
    /// When it was started, in seconds of the monotonic clock.
    let startedAt: Double
    private let processID: Int32
    private let input: FileHandle
    private let reports: AsyncStream<WorkerReport>
    private let ends: AsyncStream<Void>

    init(_ settings: BenchSettings, _ order: WorkerOrder) throws {
        let process = Process(), output = Pipe(), input = Pipe()
        process.executableURL = URL(fileURLWithPath: settings.executable)
        process.arguments = ["bench-worker", "--order", String(decoding: try JSONEncoder().encode(order), as: UTF8.self)]
        process.standardOutput = output
        process.standardInput = input
        let (ends, end) = AsyncStream<Void>.makeStream()
        process.terminationHandler = { _ in end.finish() }
        startedAt = Usage.now.time
        try process.run()
        processID = process.processIdentifier
        self.input = input.fileHandleForWriting
        self.ends = ends
        reports = Self.reports(output.fileHandleForReading)
    }

    /// The figures of the next report of this kind.
    func next(_ event: WorkerReport.Event) async throws -> [String: Double] {
        for await report in reports where report.event == event { return report.figures }
        throw BenchError("a process of the benchmark ended before it was \(event)")
    }

    /// Sends SIGKILL and waits until it is gone.
    func kill() async {
        Foundation.kill(processID, SIGKILL)
        for await _ in ends {}
    }

    /// Lets it end by itself, and waits for that.
    func stop() async {
        try? input.close()
        for await _ in ends {}
    }

    /// The last report of a process that has one.
    static func report(_ settings: BenchSettings, _ order: WorkerOrder) async throws -> [String: Double] {
        let child = try Child(settings, order)
        let figures = try await child.next(.done)
        await child.stop()
        return figures
    }

    private static func reports(_ handle: FileHandle) -> AsyncStream<WorkerReport> {
        let (reports, continuation) = AsyncStream<WorkerReport>.makeStream()
        Thread.detachNewThread {
            var rest = Data()
            while true {
                // Whatever is there: a report must not wait for a buffer to fill.
                let data = handle.availableData
                if data.isEmpty { break }
                rest.append(data)
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    if let report = try? JSONDecoder().decode(WorkerReport.self, from: rest[rest.startIndex..<end]) {
                        continuation.yield(report)
                    }
                    rest = Data(rest[rest.index(after: end)...])
                }
            }
            continuation.finish()
        }
        return reports
    }
}
