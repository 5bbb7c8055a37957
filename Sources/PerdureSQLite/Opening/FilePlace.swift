internal import Foundation
internal import Perdure
internal import PerdureStore
internal import Synchronization

/// Where a file was when it was opened. What is written to a file that has been moved or deleted reaches nobody, and SQLite, which goes on
/// writing to it, does not say so.
final class FilePlace: Sendable {
    private struct Identity: Hashable {
        let device: UInt64
        let number: UInt64

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(truncatingIfNeeded: status.st_dev)
            number = UInt64(truncatingIfNeeded: status.st_ino)
        }
    }

    private let path: String
    private let file: Identity?
    /// Known from the first look on at which there is one. As long as a connection is open nobody but a stranger removes it.
    private let log = Mutex<Identity?>(nil)

    /// - Parameter path: of a database that has just been opened.
    init(_ path: String) {
        self.path = path
        file = Identity(path)
    }

    /// Called before each commit: costs two system calls.
    func check() throws(StoreError) {
        guard file != nil, Identity(path) == file else { throw Self.moved(path) }
        let now = Identity(path + "-wal")
        let isSame = log.withLock { log in
            if log == nil { log = now }
            return log == now
        }
        guard isSame else { throw Self.moved(path + "-wal") }
    }

    private static func moved(_ path: String) -> StoreError {
        .unusable(
            .storeMissing, "\(path) was moved, deleted or replaced while it was in use. Put it back where it was, and restart.")
    }
}
