package import Foundation
import PerdureProcess

/// An engine in a process of its own.
package final class EngineProcess: Sendable {
    private let process: LineProcess

    /// Starts `executable demo-engine` with this setup.
    package init(executable: String, _ setup: EngineSetup) throws {
        process = try LineProcess(executable: executable, ["demo-engine", "--setup", try setup.json])
    }

    /// What it reports; ends with the process.
    package var reports: AsyncCompactMapSequence<AsyncStream<Data>, EngineReport> {
        process.lines.compactMap { try? JSONDecoder().decode(EngineReport.self, from: $0) }
    }

    /// Sends SIGKILL.
    package func kill() { process.kill() }

    /// Tells an engine with a driven clock what time it is.
    package func move(to microseconds: Int64) { process.say("\(microseconds)") }

    /// Asks the engine to end by itself.
    package func stop() { process.stop() }

    /// Waits for the process to end. The exit code, or the negative number of the signal that ended it.
    package func wait() async -> Int32 { await process.wait() }
}
