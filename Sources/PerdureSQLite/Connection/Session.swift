internal import GRDBSQLite

/// What may be done on a connection's own thread: statements and transactions. Never leaves that thread.
final class Session {
    private let handle: OpaquePointer
    private var statements: [Statement?] = []
    /// Whether the file may hold heartbeats; `nil` until somebody has looked.
    var mayHaveHeartbeats: Bool?
    /// Whether somebody may have got a cause to be admitted since this was asked last.
    var hasQueueNews = false

    private static let begin = SQL("BEGIN IMMEDIATE")
    private static let beginRead = SQL("BEGIN DEFERRED")
    private static let end = SQL("COMMIT")
    private static let undo = SQL("ROLLBACK")

    private var authorGuard: AuthorGuard?

    private let place: FilePlace?

    /// - Parameter place: has to be where it was whenever something is committed.
    init(_ handle: OpaquePointer, _ place: FilePlace? = nil) {
        self.handle = handle
        self.place = place
    }

    deinit { if authorGuard != nil { AuthorGuard.remove(from: handle) } }

    /// The statement, prepared on its first use. The caller steps it to its end or resets it.
    func prepared(_ sql: SQL) throws(SQLFailure) -> Statement {
        if sql.slot < statements.count, let statement = statements[sql.slot] { return statement }
        let statement = try Statement(sql.text, on: handle)
        while statements.count <= sql.slot { statements.append(nil) }
        statements[sql.slot] = statement
        return statement
    }

    /// Runs a statement that gives no rows.
    /// - Returns: how many rows it changed.
    @discardableResult
    func execute<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws -> Int {
        let statement = try prepared(sql)
        var index: Int32 = 0
        for value in repeat each values {
            index += 1
            try value.bind(to: statement, at: index)
        }
        while try statement.step() {}
        return Int(sqlite3_changes(handle))
    }

    /// Calls `row` for each row until it returns false.
    func forEach<each Value: SQLValue>(
        _ sql: SQL, _ values: repeat each Value, row: (Statement) throws -> Bool
    ) throws {
        let statement = try prepared(sql)
        var index: Int32 = 0
        for value in repeat each values {
            index += 1
            try value.bind(to: statement, at: index)
        }
        do {
            while try statement.step() {
                guard try row(statement) else { return statement.reset() }
            }
        } catch {
            statement.reset()
            throw error
        }
    }

    func all<each Value: SQLValue, Row>(
        _ sql: SQL, _ values: repeat each Value, row: (Statement) throws -> Row
    ) throws -> [Row] {
        var rows: [Row] = []
        try forEach(sql, repeat each values) { statement in
            rows.append(try row(statement))
            return true
        }
        return rows
    }

    func first<each Value: SQLValue, Row>(
        _ sql: SQL, _ values: repeat each Value, row: (Statement) throws -> Row
    ) throws -> Row? {
        var found: Row?
        try forEach(sql, repeat each values) { statement in
            found = try row(statement)
            return false
        }
        return found
    }

    func exists<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws -> Bool {
        try first(sql, repeat each values) { _ in true } ?? false
    }

    /// Runs SQL that is not kept: schema changes and settings.
    func run(_ sql: String) throws(SQLFailure) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw SQLFailure(connection: handle) }
    }

    var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }

    var changes: Int { Int(sqlite3_changes(handle)) }
    /// Of all statements since the connection was opened.
    var totalChanges: Int { Int(sqlite3_total_changes(handle)) }
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }
    var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") != 0 }

    var mainFile: UnsafeMutablePointer<sqlite3_file>? { file(SQLITE_FCNTL_FILE_POINTER) }
    /// The write-ahead log, once it is open.
    var logFile: UnsafeMutablePointer<sqlite3_file>? { file(SQLITE_FCNTL_JOURNAL_POINTER) }

    private func file(_ which: Int32) -> UnsafeMutablePointer<sqlite3_file>? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        return sqlite3_file_control(handle, "main", which, &file) == SQLITE_OK ? file : nil
    }

    // MARK: Work of authors

    /// The work has returned, but the store does not stand by what it did.
    struct StoppedWork: Error { let reason: String }

    /// Makes the connection one that can be lent. Once is enough.
    func prepareForAuthors(_ options: SQLiteOptions) throws {
        guard authorGuard == nil else { return }
        try Opening.setUp(self, options)
        let author = AuthorGuard()
        author.install(on: handle)
        authorGuard = author
    }

    /// Lends the connection inside a transaction. Until it is given back it does what authors may do, and no longer than the limit.
    func lend<Result>(for limit: Duration, _ work: (SQLiteTransaction) throws -> Result) throws -> Result {
        guard let authorGuard else { throw StoppedWork(reason: "this connection is not lent") }
        let connection = SQLiteTransaction(self, limit: limit)
        authorGuard.lend(handle, for: limit)
        defer {
            authorGuard.takeBack(handle)
            connection.end()
        }
        let result = try work(connection)
        do {
            try connection.checkUsable()
        } catch {
            throw StoppedWork(reason: "\(error)")
        }
        return result
    }

    func prepare(author sql: String) throws -> Statement { try Statement(author: sql, on: handle) }

    // MARK: Transactions

    /// Everything in `body`, or nothing. The write lock is taken first, so that nothing read in `body` can change below it.
    func write<Result>(beforeCommit: () throws -> Void = {}, _ body: () throws -> Result) throws -> Result {
        try execute(Self.begin)
        let result: Result
        do {
            result = try body()
            try beforeCommit()
            try place?.check()
        } catch {
            rollBack()
            throw error
        }
        try commit()
        return result
    }

    /// One view of the data for several statements.
    func read<Result>(_ body: () throws -> Result) throws -> Result {
        try execute(Self.beginRead)
        do {
            let result = try body()
            rollBack()
            return result
        } catch {
            rollBack()
            throw error
        }
    }

    /// What `body` wrote is taken back if it throws; the transaction around it goes on.
    func savepoint<Result>(_ body: () throws -> Result) throws -> Result {
        try run("SAVEPOINT item")
        do {
            let result = try body()
            try run("RELEASE item")
            return result
        } catch {
            try run("ROLLBACK TO item; RELEASE item")
            throw error
        }
    }

    private func commit() throws {
        do {
            try execute(Self.end)
        } catch {
            rollBack()
            guard var failure = error as? SQLFailure else { throw error }
            failure.isCommit = true
            throw failure
        }
    }

    private func rollBack() {
        // Some errors end the transaction by themselves; a rollback that fails leaves nothing to be done better.
        guard sqlite3_get_autocommit(handle) == 0 else { return }
        _ = try? execute(Self.undo)
    }
}
