import GRDBSQLite

/// SQLite as a program would use it that has nothing else: no pool, no queue, no wrapper around values.
///
/// `@unchecked` because each is used by one task at a time, and SQLite's own mutex would be there as well.
final class PlainDatabase: @unchecked Sendable {
    enum Cell {
        case null
        case integer(Int64)
        case text(String)
    }

    private let handle: OpaquePointer

    init(_ path: String, readOnly: Bool = false) throws {
        _ = SyncCounter.install
        var handle: OpaquePointer?
        let flags = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            sqlite3_close_v2(handle)
            throw BenchError("SQLite cannot open \(path) (code \(code))")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, 10_000)
    }

    deinit { sqlite3_close_v2(handle) }

    /// The settings of the engine's own connection.
    func setUp() throws {
        try run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
        try run("PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY")
    }

    func run(_ sql: String) throws {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure }
    }

    func prepare(_ sql: String) throws -> PlainStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure }
        return PlainStatement(statement, of: self)
    }

    func integer(_ sql: String) throws -> Int { try prepare(sql).integer() }

    fileprivate var failure: BenchError { BenchError("SQLite: \(String(cString: sqlite3_errmsg(handle)))") }
}

/// A prepared statement that is bound and stepped again and again.
final class PlainStatement {
    private let handle: OpaquePointer
    private let database: PlainDatabase

    fileprivate init(_ handle: OpaquePointer, of database: PlainDatabase) {
        self.handle = handle
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index, value) }
    func bindNull(_ index: Int32) { sqlite3_bind_null(handle, index) }

    /// Without a copy: the bytes have to stay where they are until the statement has been stepped.
    func bindText(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        sqlite3_bind_text64(handle, index, start, UInt64(bytes.count), nil, UInt8(SQLITE_UTF8))
    }

    func bindBlob(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), nil)
    }

    /// Steps a statement without rows to its end.
    func execute() throws {
        defer { sqlite3_reset(handle) }
        guard sqlite3_step(handle) == SQLITE_DONE else { throw database.failure }
    }

    /// Calls the body with every row.
    func forEach(_ cells: PlainDatabase.Cell..., row: (PlainStatement) throws -> Void) throws {
        try rows(cells, row)
    }

    /// The first column of the only row.
    func integer(_ cells: PlainDatabase.Cell...) throws -> Int {
        var found = 0
        try rows(cells) { found = Int($0.integer(at: 0)) }
        return found
    }

    private func rows(_ cells: [PlainDatabase.Cell], _ row: (PlainStatement) throws -> Void) throws {
        defer { sqlite3_reset(handle) }
        // SQLite copies these texts.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        for (index, cell) in zip(Int32(1)..., cells) {
            switch cell {
            case .null: bindNull(index)
            case .integer(let value): bind(index, value)
            case .text(let text): sqlite3_bind_text(handle, index, text, -1, transient)
            }
        }
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW: try row(self)
            case SQLITE_DONE: return
            default: throw database.failure
            }
        }
    }

    func integer(at column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    func text(at column: Int32) -> String { sqlite3_column_text(handle, column).map { String(cString: $0) } ?? "" }

    /// The value as it is stored.
    func value(at column: Int32) -> StoredCell {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(handle, column))
        case SQLITE_TEXT: .text(bytes(at: column))
        case SQLITE_NULL: .null
        default: .blob(bytes(at: column))
        }
    }

    private func bytes(at column: Int32) -> UnsafeRawBufferPointer {
        let count = Int(sqlite3_column_bytes(handle, column))
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        if let start = sqlite3_column_blob(handle, column) {
            copy.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
        }
        return UnsafeRawBufferPointer(copy)
    }

    func bind(_ index: Int32, _ cell: StoredCell) {
        switch cell {
        case .null: bindNull(index)
        case .integer(let value): bind(index, value)
        case .text(let bytes): bindText(index, bytes)
        case .blob(let bytes): bindBlob(index, bytes)
        }
    }
}

/// A column's value. Its bytes live as long as the process.
enum StoredCell {
    case null
    case integer(Int64)
    case text(UnsafeRawBufferPointer)
    case blob(UnsafeRawBufferPointer)
}
