import Foundation

/// An engine in a process of its own.
package final class EngineProcess: Sendable {
    /// What it reports; ends with the process.
    package let reports: AsyncStream<EngineReport>
    package let processID: Int32
    private let input: FileHandle
    private let exits: AsyncStream<Int32>

    /// Starts `executable demo-engine` with this setup.
    package init(executable: String, _ setup: EngineSetup) throws {
        let process = Process(), output = Pipe(), input = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = ["demo-engine", "--setup", try setup.json]
        process.standardOutput = output
        process.standardInput = input
        let (exits, exit) = AsyncStream<Int32>.makeStream()
        process.terminationHandler = { process in
            exit.yield(process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus)
            exit.finish()
        }
        try process.run()
        self.exits = exits
        self.input = input.fileHandleForWriting
        processID = process.processIdentifier
        reports = Self.lines(of: output.fileHandleForReading)
    }

    /// Sends SIGKILL.
    package func kill() { Foundation.kill(processID, SIGKILL) }

    /// Asks the engine to end by itself.
    package func stop() { try? input.close() }

    /// Waits for the process to end. The exit code, or the negative number of the signal that ended it.
    package func wait() async -> Int32 {
        for await status in exits { return status }
        return 0
    }

    private static func lines(of handle: FileHandle) -> AsyncStream<EngineReport> {
        let (reports, continuation) = AsyncStream<EngineReport>.makeStream()
        Thread.detachNewThread {
            var rest = Data()
            while true {
                // Whatever is there: a report must not wait for a buffer to fill.
                let data = handle.availableData
                if data.isEmpty { break }
                rest.append(data)
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    if let report = try? JSONDecoder().decode(EngineReport.self, from: rest[rest.startIndex..<end]) {
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
