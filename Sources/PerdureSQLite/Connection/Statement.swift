internal import Foundation
internal import GRDBSQLite
internal import PerdureHistory
internal import PerdureStore

/// A prepared statement that is bound, stepped and used again.
///
/// GRDB's own statements box every argument; at a hundred thousand events per second that costs more than the insert.
final class Statement {
    private let handle: OpaquePointer
    private let connection: OpaquePointer

    // SQLite copies the bytes before the call returns.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ sql: String, on connection: OpaquePointer) throws(SQLFailure) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw SQLFailure(connection: connection) }
        self.handle = handle
        self.connection = connection
    }

    /// One statement of an author, and nothing behind it.
    init(author sql: String, on connection: OpaquePointer) throws {
        var handle: OpaquePointer?
        let (code, rest) = sql.withCString { start -> (Int32, String) in
            var tail: UnsafePointer<CChar>?
            let code = sqlite3_prepare_v3(connection, start, -1, 0, &handle, &tail)
            return (code, tail.map { String(cString: $0) } ?? "")
        }
        guard code == SQLITE_OK else { throw SQLFailure(connection: connection) }
        guard let handle else { throw SQLiteError(code: SQLITE_MISUSE, message: "there is no statement in the SQL") }
        guard rest.allSatisfy({ $0.isWhitespace || $0 == ";" }) else {
            sqlite3_finalize(handle)
            throw SQLiteError(code: SQLITE_MISUSE, message: "only one statement can be executed at a time")
        }
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    /// Goes to the next row.
    /// - Returns: false after the last one; the statement is then ready to be bound again.
    func step() throws(SQLFailure) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        default:
            let failure = SQLFailure(connection: connection)
            sqlite3_reset(handle)
            throw failure
        }
    }

    /// Ends the statement before its last row, so that it holds no lock.
    func reset() { sqlite3_reset(handle) }

    // MARK: Binding, from index 1

    func bind(_ index: Int32, _ value: Int64) throws(SQLFailure) {
        try check(sqlite3_bind_int64(handle, index, value))
    }

    func bindNull(_ index: Int32) throws(SQLFailure) {
        try check(sqlite3_bind_null(handle, index))
    }

    func bind(_ index: Int32, _ text: String) throws {
        var text = text
        try text.withUTF8 { bytes in
            // SQLite would keep the NUL, but its functions and its shell stop reading there.
            guard !bytes.contains(0) else {
                throw BadRow("a text holds a NUL character: \(String(decoding: bytes.prefix(64), as: UTF8.self))")
            }
            try bindText(index, UnsafeRawBufferPointer(bytes))
        }
    }

    func bind(_ index: Int32, _ text: String?) throws {
        if let text { try bind(index, text) } else { try bindNull(index) }
    }

    func bindBlob(_ index: Int32, _ bytes: UnsafeRawBufferPointer) throws(SQLFailure) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else {
            // A null pointer would bind NULL, which is another value than no bytes.
            return try check(sqlite3_bind_zeroblob(handle, index, 0))
        }
        try check(sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), Self.transient))
    }

    func bindBlob(_ index: Int32, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { raw in try bindBlob(index, raw) }
    }

    /// Text of any bytes: SQLite keeps them as they are.
    func bindText(_ index: Int32, _ bytes: UnsafeRawBufferPointer) throws(SQLFailure) {
        guard let base = bytes.baseAddress else { return try check(sqlite3_bind_text(handle, index, "", 0, Self.transient)) }
        let characters = base.assumingMemoryBound(to: CChar.self)
        try check(sqlite3_bind_text64(handle, index, characters, UInt64(bytes.count), Self.transient, UInt8(SQLITE_UTF8)))
    }

    /// Readable bytes as text, so that `sqlite3` shows them and its JSON functions take them; all others as a blob.
    func bind(_ index: Int32, payload bytes: [UInt8], readable: Bool) throws {
        try bytes.withUnsafeBytes { raw in
            if readable, !raw.contains(0) { try bindText(index, raw) } else { try bindBlob(index, raw) }
        }
    }

    private func check(_ code: Int32) throws(SQLFailure) {
        guard code == SQLITE_OK else { throw SQLFailure(connection: connection) }
    }

    var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }

    func bind(_ index: Int32, author value: SQLiteValue) throws {
        switch value {
        case .null: try bindNull(index)
        case .integer(let number): try bind(index, number)
        case .real(let number): try check(sqlite3_bind_double(handle, index, number))
        case .text(let text):
            var text = text
            try text.withUTF8 { try bindText(index, UnsafeRawBufferPointer($0)) }
        case .blob(let bytes): try bytes.withUnsafeBytes { try bindBlob(index, $0) }
        }
    }

    // MARK: Columns, from index 0

    var columnCount: Int32 { sqlite3_column_count(handle) }

    func columnName(_ column: Int32) -> String { sqlite3_column_name(handle, column).map { String(cString: $0) } ?? "" }

    /// The value as an author gets it. Bytes that are no text, in a text, are replaced.
    func value(_ column: Int32) -> SQLiteValue {
        func bytes() -> UnsafeRawBufferPointer {
            let start = sqlite3_column_blob(handle, column)
            return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(handle, column)))
        }
        return switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: .real(sqlite3_column_double(handle, column))
        case SQLITE_TEXT: .text(String(decoding: bytes(), as: UTF8.self))
        case SQLITE_BLOB: .blob(Data(bytes()))
        default: .null
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func integer(_ column: Int32) throws(BadRow) -> Int64 {
        guard sqlite3_column_type(handle, column) == SQLITE_INTEGER else { throw bad(column, "an integer") }
        return sqlite3_column_int64(handle, column)
    }

    func optionalInteger(_ column: Int32) throws(BadRow) -> Int64? { isNull(column) ? nil : try integer(column) }

    func text(_ column: Int32) throws(BadRow) -> String {
        guard sqlite3_column_type(handle, column) == SQLITE_TEXT else { throw bad(column, "text") }
        guard let start = sqlite3_column_text(handle, column) else { throw bad(column, "text") }
        let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
        guard let text = String(validating: bytes, as: UTF8.self) else { throw bad(column, "UTF-8 text") }
        return text
    }

    /// Whether the column holds exactly this text.
    func isText(_ column: Int32, _ text: String) -> Bool {
        guard sqlite3_column_type(handle, column) == SQLITE_TEXT, let start = sqlite3_column_text(handle, column) else {
            return false
        }
        let count = Int(sqlite3_column_bytes(handle, column))
        let isSame = text.utf8.withContiguousStorageIfAvailable { other in
            guard other.count == count, let base = other.baseAddress else { return count == 0 && other.isEmpty }
            return memcmp(base, start, count) == 0
        }
        return isSame ?? UnsafeBufferPointer(start: start, count: count).elementsEqual(text.utf8)
    }

    func optionalText(_ column: Int32) throws(BadRow) -> String? { isNull(column) ? nil : try text(column) }

    /// The bytes of a text or blob as they are stored.
    func bytes(_ column: Int32) throws(BadRow) -> [UInt8] {
        try withBytes(column) { Array($0) }
    }

    func optionalBytes(_ column: Int32) throws(BadRow) -> [UInt8]? { isNull(column) ? nil : try bytes(column) }

    func withBytes<Result>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> Result) throws(BadRow) -> Result {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_BLOB, SQLITE_TEXT:
            let start = sqlite3_column_blob(handle, column)
            return body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))))
        default: throw bad(column, "bytes")
        }
    }

    private func bad(_ column: Int32, _ expected: String) -> BadRow {
        let name = sqlite3_column_name(handle, column).map { String(cString: $0) } ?? "number \(column)"
        return BadRow("column \(name) does not hold \(expected)")
    }
}
