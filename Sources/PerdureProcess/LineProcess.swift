package import Foundation
import Synchronization

/// A program in a process of its own that is spoken to in lines.
package final class LineProcess: Sendable {
    /// What it writes, line by line; ends with the process.
    package let lines: AsyncStream<Data>
    package let processID: Int32
    private let input: FileHandle
    private let end: Task<Int32, Never>
    private let ending = Ending()

    /// - Parameters:
    ///   - variables: What its environment has beyond that of this process.
    ///   - isHeard: Whether what it writes to standard error is seen.
    package init(
        executable: String, _ arguments: [String], variables: [String: String] = [:], isHeard: Bool = true
    ) throws {
        Self.ignoresBrokenPipes
        let process = Process(), output = Pipe(), input = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(variables) { $1 }
        if !isHeard { process.standardError = FileHandle.nullDevice }
        process.standardOutput = output
        process.standardInput = input
        let (exits, exit) = AsyncStream<Int32>.makeStream()
        process.terminationHandler = { [ending] process in
            ending.hasCome.withLock { $0 = true }
            exit.yield(process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus)
            exit.finish()
        }
        try process.run()
        end = Task { await exits.first { _ in true } ?? 0 }
        self.input = input.fileHandleForWriting
        processID = process.processIdentifier
        lines = Self.lines(of: output.fileHandleForReading)
    }

    /// What is said to a process that has just died must not take the speaker down.
    private static let ignoresBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    /// Whether it is over; `wait` says how.
    package var hasEnded: Bool { ending.hasCome.withLock { $0 } }

    private final class Ending: Sendable {
        let hasCome = Mutex(false)
    }

    /// The executable that runs now.
    package static var ownExecutable: String {
        #if os(Linux)
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        #else
            Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }

    /// Says a line to it. One that is dead hears nothing.
    package func say(_ line: String) { try? input.write(contentsOf: Data((line + "\n").utf8)) }

    /// Sends SIGKILL.
    package func kill() { Foundation.kill(processID, SIGKILL) }

    /// Sends SIGTERM, as a service manager does.
    package func terminate() { Foundation.kill(processID, SIGTERM) }

    /// Closes its input, which asks it to end by itself.
    package func stop() { try? input.close() }

    /// Waits for the process to end, also in a task that is cancelled: what the process needs is not to be taken away before.
    ///
    /// - Returns: The exit code, or the negative number of the signal that ended it.
    package func wait() async -> Int32 { await end.value }

    /// The same of one that has been asked to end, and may be stuck.
    package func wait(orKillAfter patience: Duration) async -> Int32 {
        let killer = Task { [self] in
            try await Task.sleep(for: patience)
            kill()
        }
        defer { killer.cancel() }
        return await wait()
    }

    private static func lines(of handle: FileHandle) -> AsyncStream<Data> {
        let (lines, continuation) = AsyncStream<Data>.makeStream()
        Thread.detachNewThread {
            var rest = Data()
            while true {
                // Whatever is there: a line must not wait for a buffer to fill.
                let data = handle.availableData
                if data.isEmpty { break }
                rest.append(data)
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    continuation.yield(Data(rest[rest.startIndex..<end]))
                    rest = Data(rest[rest.index(after: end)...])
                }
            }
            continuation.finish()
        }
        return lines
    }
}
