internal import Foundation
internal import Synchronization

/// Warns when the write-ahead log has grown past its limit, which happens while somebody keeps one read transaction open.
final class LogWatch: Sendable {
    private struct State {
        var looks = 0
        var hasWarned = false
    }

    private let path: String
    private let limit: Int64
    private let warn: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// A look costs a system call, and the log grows by kilobytes a commit.
    private static let commitsBetweenLooks = 64

    init(path: String, limit: Int64, warn: @escaping @Sendable (String) -> Void) {
        self.path = path
        self.limit = limit
        self.warn = warn
    }

    /// Called after each commit.
    func look() {
        let isDue = state.withLock { state in
            state.looks += 1
            return state.looks % Self.commitsBetweenLooks == 1
        }
        guard isDue else { return }
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        let size = Int64(status.st_size)
        let warns = state.withLock { state in
            defer { state.hasWarned = size > limit }
            return size > limit && !state.hasWarned
        }
        guard warns else { return }
        warn(
            "The write-ahead log \(path) has grown to \(size >> 20) MB. Some process keeps a read transaction open on the store; end it."
        )
    }
}
