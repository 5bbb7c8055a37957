internal import Foundation
internal import GRDB
internal import PerdureStore

/// A connection with a thread of its own. Work is never cancelled: a commit that was begun ends by itself.
///
/// `@unchecked` because `session` is only touched on the queue's own serial executor.
final class Connection: @unchecked Sendable {
    private let queue: DatabaseQueue
    private var session: Session?
    /// Where the file is that is written to; nil if it is only read.
    let place: FilePlace?

    /// - Parameter place: where the file was when another connection opened it.
    init(path: String, readOnly: Bool, busyLimit: Duration, place: FilePlace? = nil) throws {
        var configuration = Configuration()
        configuration.label = readOnly ? "perdure.sqlite.reader" : "perdure.sqlite.writer"
        configuration.readonly = readOnly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .callback(BusyWait(limit: busyLimit).goesOn)
        // GRDB would stop the process over a rollback that the disk refused.
        configuration.allowsUnsafeTransactions = true
        queue = try DatabaseQueue(path: path, configuration: configuration)
        self.place = readOnly ? nil : place ?? FilePlace(path)
    }

    func perform<Result: Sendable>(_ work: @escaping @Sendable (Session) throws -> Result) async throws(StoreError) -> Result {
        let result = await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { database in
                continuation.resume(returning: self.attempt(work, on: database))
            }
        }
        return try result.get()
    }

    /// The same on the calling thread, which is held up meanwhile.
    func performHere<Result>(_ work: (Session) throws -> Result) throws(StoreError) -> Result {
        try queue.writeWithoutTransaction { database in attempt(work, on: database) }.get()
    }

    /// Runs `work` after what waits already, without anybody waiting for it.
    func enqueue(_ work: @escaping @Sendable (Session) -> Void) {
        queue.asyncWriteWithoutTransaction { database in _ = self.attempt(work, on: database) }
    }

    /// Ends the connection after everything that waits for it.
    func close() async {
        await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { _ in
                self.session = nil
                continuation.resume()
            }
        }
        // Fails only over statements that are still alive; there are none, and nothing better to do about it.
        try? queue.close()
    }

    private func attempt<Result>(_ work: (Session) throws -> Result, on database: Database) -> Swift.Result<Result, StoreError> {
        guard let handle = database.sqliteConnection else { return .failure(.closed) }
        let session = self.session ?? Session(handle, place)
        self.session = session
        do {
            return .success(try work(session))
        } catch {
            return .failure(StoreError(error))
        }
    }
}

/// How to wait while another process holds the write lock: closely at first, since it holds it for about a millisecond. SQLite's
/// own waiting sleeps up to 100 ms at a time, and starves beside a busy engine.
struct BusyWait: Sendable {
    let limit: Duration

    private static let close: UInt32 = 100
    private static let patient: UInt32 = 1_000
    private static let closeTries = 50

    /// Waits a little.
    /// - Returns: false if the limit is reached.
    func goesOn(_ tries: Int) -> Bool {
        let waited = Self.waited(tries)
        guard waited < limit else { return false }
        usleep(tries < Self.closeTries ? Self.close : Self.patient)
        return true
    }

    static func waited(_ tries: Int) -> Duration {
        let close = min(tries, closeTries)
        return .microseconds(close * Int(Self.close) + (tries - close) * Int(patient))
    }
}
