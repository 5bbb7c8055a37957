import Foundation
public import Perdure

/// The other side of both programs: files in a folder, which are there whoever dies.
///
/// Every request is a line of `requests`, written and synced before anything else, so that whoever reads it later can count.
public struct World: Sendable {
    private let folder: String

    /// The folder is that of the variable `DEPLOY_WORLD`.
    public init() { folder = ProcessInfo.processInfo.environment["DEPLOY_WORLD"] ?? "." }

    /// Notes a request under its idempotency key. Where a named pipe `hold-NAME` exists the answer is kept back until somebody opens its
    /// other end; that it is kept back is said on standard output.
    public func ask(_ name: String, key: String) async throws -> String {
        try append("\(name) \(key)\n")
        let pipe = "\(folder)/hold-\(name)"
        if FileManager.default.fileExists(atPath: pipe) {
            try FileHandle.standardOutput.write(contentsOf: Data("held \(name)\n".utf8))
            await Self.untilOpened(pipe)
        }
        return "\(name) is done"
    }

    private func append(_ line: String) throws {
        let file = open("\(folder)/requests", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw CocoaError(.fileWriteUnknown) }
        defer { close(file) }
        let bytes = Array(line.utf8)
        guard write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// On a thread of its own, since opening a pipe that nobody writes to blocks.
    private static func untilOpened(_ pipe: String) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let end = open(pipe, O_RDONLY | O_CLOEXEC)
                if end >= 0 { close(end) }
                continuation.resume()
            }
        }
    }
}

/// Lets a run that waits go on.
public enum Go: Signal {
    public static let name = "go"
    /// Nothing that matters.
    public typealias Payload = String
}
