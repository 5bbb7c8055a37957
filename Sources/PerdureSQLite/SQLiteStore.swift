internal import Perdure
package import PerdureHistory
package import PerdureStore
internal import Synchronization

/// Histories in one SQLite file.
///
/// One connection writes; commits, claims and deliveries take turns on its thread. `reader` serves the engine (events, inboxes),
/// `browser` people and audits, so that a long list does not hold up a replay.
package final class SQLiteStore: Store {
    package let identity: String
    let path: String
    let options: SQLiteOptions
    let writer: Connection
    let reader: Connection
    let browser: Connection
    let bell: Bell
    let logWatch: LogWatch
    /// For the work of steps; nil until the first one needs it.
    let transactionConnection = Mutex<Connection?>(nil)
    /// Held by the engine of the file; nil beside it.
    private let lock: EngineLock?
    /// The one living node of this file: whoever registers after it holds the lock, so it is dead by then.
    private let registered = Mutex<NodeID?>(nil)
    /// What the last claim gave, until its answer is known to have been heard.
    let unanswered = Mutex(Claimed())

    init(
        path: String, identity: String, options: SQLiteOptions, lock: EngineLock?, writer: Connection, reader: Connection,
        browser: Connection
    ) {
        self.path = path
        self.identity = identity
        self.options = options
        self.lock = lock
        self.writer = writer
        self.reader = reader
        self.browser = browser
        bell = Bell(writer, interval: options.bellInterval)
        logWatch = LogWatch(path: path + "-wal", limit: options.logWarningSize, warn: options.onWarning)
    }

    package func now() -> Timestamp { options.clock() }

    var isEngine: Bool { lock != nil }
    var node: NodeID? { registered.withLock { $0 } }
    func setNode(_ node: NodeID?) { registered.withLock { $0 = node } }

    /// Owning runs needs the lock; without it nobody could tell a dead owner from a living one.
    func requireEngine(_ wish: String) throws(StoreError) {
        guard isEngine else { throw .unusable(.usage, "A client of \(path) cannot \(wish); open it as an engine.") }
    }

    /// Work on the connection that writes.
    func write<Result: Sendable>(_ body: @escaping @Sendable (Session) throws -> Result) async throws(StoreError) -> Result {
        let faults = options.faults
        let (result, hasQueueNews) = try await writer.perform { session in
            try faults.pass(.beforeTransaction)
            session.hasQueueNews = false
            let result = try session.write(beforeCommit: { try faults.pass(.beforeCommit) }) { try body(session) }
            try faults.pass(.afterCommit)
            return (result, session.hasQueueNews)
        }
        committed(hasQueueNews: hasQueueNews)
        return result
    }

    /// Whoever hosts runs admits himself what his commit has made room for. In other processes the engine notices that the file has
    /// changed.
    func committed(hasQueueNews: Bool) {
        logWatch.look()
        if hasQueueNews, isEngine { bell.ringHere() }
    }

    /// Work on a connection that reads, in one statement or one short transaction.
    func read<Result: Sendable>(
        on connection: Connection, _ body: @escaping @Sendable (Session) throws -> Result
    ) async throws(StoreError) -> Result {
        let faults = options.faults
        return try await connection.perform { session in
            try faults.pass(.read)
            return try body(session)
        }
    }

    package func onOutsideDelivery(_ handler: @escaping @Sendable () -> Void) -> OutsideWatch { bell.add(handler) }

    package func close() async {
        bell.stop()
        await reader.close()
        await browser.close()
        await transactionConnection.withLock { $0 }?.close()
        // Last, so that it is the one to empty the log into the file.
        await writer.close()
        lock?.release()
    }
}
