import Foundation
import Synchronization

/// What the engine's process says on its standard output, one line of JSON each.
package struct EngineReport: Codable, Sendable {
    package enum What: String, Codable, Sendable {
        /// A run is there: started now or before.
        case run
        /// All runs are there, and the engine works.
        case ready
        /// An event is durable.
        case event
        /// A run of a dead process was taken over.
        case takeover
        /// A run that waits was given up to the store, or has closed.
        case rest
        /// The process kills itself now.
        case crash
    }

    package var what: What
    package var run: String?
    package var workflow: String?
    /// The key of a run.
    package var key: String?
    /// The kind of an event; the state of a run.
    package var kind: String?
    package var subject: String?
    /// Where exactly it crashes.
    package var detail: String?
    /// When a run that rests is due, in microseconds since 1970.
    package var due: Int64?

    package var isFinalEvent: Bool {
        what == .event && ["run.completed", "run.failed", "run.cancelled", "run.terminated"].contains(kind)
    }
}

/// Writes reports, whole lines at a time, straight to the pipe: nothing may be left in a buffer when the process dies.
final class Reporter: Sendable {
    private let lock = Mutex(())

    func report(_ report: EngineReport) {
        guard var line = try? JSONEncoder().encode(report) else { return }
        line.append(UInt8(ascii: "\n"))
        lock.withLock { _ in try? FileHandle.standardOutput.write(contentsOf: line) }
    }
}
