internal import GRDB
internal import GRDBSQLite
internal import Perdure
internal import PerdureStore

/// What SQLite answered when it did not do what was asked.
struct SQLFailure: Error, Hashable {
    /// The extended result code.
    let code: Int32
    let message: String
    /// Whether it was the COMMIT that failed.
    var isCommit = false

    init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: DatabaseError) {
        self.init(code: error.extendedResultCode.rawValue, message: error.message ?? "no message")
    }

    /// The failure that SQLite reported last on this connection.
    init(connection: OpaquePointer?) {
        self.init(code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)))
    }

    var primaryCode: Int32 { code & 0xFF }

    /// Whether the data of one item is to blame, so that the others can still be written.
    var isAboutData: Bool {
        switch primaryCode {
        case SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_MISMATCH: true
        default: false
        }
    }
}

extension SQLFailure: CustomStringConvertible {
    var description: String { "\(message) (SQLite code \(code))" }
}

extension StoreError {
    // SQLITE_READONLY_DBMOVED, a macro that Swift does not import.
    private static let movedFile = SQLITE_READONLY | 4 << 8

    /// The error as the callers of a store get it. What SQLite says in codes becomes a sentence with a way out.
    init(_ error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as SQLFailure: self.init(error)
        case let error as BadRow: self = error.isFromLater ? .unsupported(error.description) : .corrupt(error.description)
        case let error as DatabaseError: self.init(SQLFailure(error))
        default: self = .unavailable(String(describing: error))
        }
    }

    init(_ failure: SQLFailure) {
        if failure.isCommit, failure.primaryCode == SQLITE_IOERR {
            // The commit record may have reached the disk before the error did.
            self = .outcomeUnknown("the disk failed while the transaction was committed: \(failure)")
            return
        }
        if failure.code == Self.movedFile {
            self = .unusable(.storeMissing, "The file was moved, deleted or replaced while it was in use: \(failure). Restart.")
            return
        }
        switch failure.primaryCode {
        case SQLITE_BUSY, SQLITE_LOCKED:
            self = .unavailable("another process holds the file's write lock for too long: \(failure)")
        case SQLITE_FULL: self = .unavailable("the disk, or the limit set for the file, is full: \(failure)")
        case SQLITE_IOERR: self = .unavailable("the disk failed: \(failure)")
        case SQLITE_CANTOPEN: self = .unavailable("the file cannot be opened: \(failure)")
        case SQLITE_READONLY, SQLITE_PERM:
            self = .unusable(.storeReadOnly, "The file cannot be written: \(failure). Check its rights and those of its folder.")
        case SQLITE_CORRUPT: self = .corrupt("the file is damaged: \(failure). Restore it from a backup.")
        case SQLITE_NOTADB: self = .unusable(.storeNotOurs, "The file is not an SQLite database: \(failure). Use another file.")
        // A table or column is missing, or a row breaks a rule that the schema keeps: somebody changed the file.
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_CONSTRAINT, SQLITE_MISMATCH:
            self = .corrupt("the file does not hold what this version of Perdure put there: \(failure)")
        default: self = .unavailable("\(failure)")
        }
    }
}
