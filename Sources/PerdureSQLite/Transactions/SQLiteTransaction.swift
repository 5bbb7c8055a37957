public import Foundation
internal import GRDBSQLite
public import Perdure
internal import PerdureStore

/// The SQLite file in which an engine keeps its histories, for steps that write there themselves: `.transactional(in: .sqlite)`.
public struct SQLiteDatabase: TransactionalStore {
    /// What the body writes with.
    public typealias Connection = SQLiteTransaction
    /// For messages.
    public static let name = "an SQLite file"
    /// The SQLite file in which the engine keeps its histories.
    public static let sqlite = SQLiteDatabase()
}

extension TransactionalEffect where Store == SQLiteDatabase {
    /// The work is done in a transaction of the SQLite file in which the engine keeps its histories: both or neither, so exactly once.
    public static func transactional(in store: SQLiteDatabase) -> TransactionalEffect { TransactionalEffect() }
}

/// A connection in the middle of a transaction that ends with the record of a step. It is lent for one call of the body: used later, it
/// only throws.
///
/// It executes SQL on tables of yours in the engine's file, creates them, adds columns, and drops them. It refuses transaction control
/// (`BEGIN`, `COMMIT`, `SAVEPOINT` …), `ATTACH`, pragmas, temporary and virtual tables, and the engine's own tables, also for reading.
/// Because of these it refuses to rename something, to drop a column, and to drop a table with `AUTOINCREMENT`: SQLite would touch tables
/// of its own that are the engine's as well. Names that begin with `perdure_` or `sqlite_` are reserved.
public final class SQLiteTransaction {
    private let session: Session
    private let limit: Duration
    private let start = ContinuousClock.now
    private var hasEnded = false
    /// SQLite has taken the transaction back by itself, after some errors: nothing of it would be left, or worse, later parts alone.
    private var isBroken = false

    init(_ session: Session, limit: Duration) {
        self.session = session
        self.limit = limit
    }

    /// Executes one statement.
    ///
    /// - Parameter arguments: The values of its parameters (`?`, `?1`), all of them.
    /// - Returns: How many rows it has inserted, changed or deleted; 0 for a statement that does none of this.
    /// - Throws: `SQLiteError`.
    @discardableResult
    public func execute<each Argument: SQLiteArgument>(_ sql: String, _ arguments: repeat each Argument) throws -> Int {
        let before = session.totalChanges
        try run(sql, values(repeat each arguments)) { _ in }
        // SQLite goes on telling of the last statement that could change rows.
        return session.totalChanges == before ? 0 : session.changes
    }

    /// Executes one statement and returns its rows.
    ///
    /// - Parameter arguments: The values of its parameters (`?`, `?1`), all of them.
    /// - Throws: `SQLiteError`.
    public func rows<each Argument: SQLiteArgument>(_ sql: String, _ arguments: repeat each Argument) throws -> [SQLiteRow] {
        var rows: [SQLiteRow] = []
        try run(sql, values(repeat each arguments)) { rows.append($0) }
        return rows
    }

    private func values<each Argument: SQLiteArgument>(_ arguments: repeat each Argument) -> [SQLiteValue] {
        var values: [SQLiteValue] = []
        for argument in repeat each arguments { values.append(argument.sqliteValue) }
        return values
    }

    /// The number of the row that was inserted last.
    public var lastInsertedRow: Int64 { hasEnded ? 0 : session.lastInsertedRow }

    private func run(_ sql: String, _ arguments: [SQLiteValue], _ row: (SQLiteRow) -> Void) throws {
        try checkUsable()
        do {
            let statement = try session.prepare(author: sql)
            guard statement.parameterCount == arguments.count else {
                throw SQLiteError(
                    code: SQLITE_RANGE,
                    message: "the statement has \(statement.parameterCount) parameters, but \(arguments.count) values were given")
            }
            for (index, argument) in arguments.enumerated() {
                try statement.bind(Int32(index + 1), author: argument)
            }
            while try statement.step() { row(SQLiteRow(statement)) }
        } catch {
            noteEnd()
            throw SQLiteError(error, isLate: isLate)
        }
        noteEnd()
        try checkUsable()
    }

    private func noteEnd() { if !session.isInTransaction { isBroken = true } }

    private var isLate: Bool { ContinuousClock.now - start >= limit }

    /// Whether what was done may be recorded.
    func checkUsable() throws {
        if hasEnded { throw SQLiteError(code: SQLITE_MISUSE, message: "the connection was lent for one call, which is over") }
        if isLate { throw SQLiteError(code: SQLITE_INTERRUPT, message: SQLiteError.late) }
        if isBroken { throw SQLiteError(code: SQLITE_ABORT, message: "an error before has taken the whole transaction back") }
    }

    func end() { hasEnded = true }
}

/// A value that a statement can be given.
public protocol SQLiteArgument {
    /// As SQLite stores it.
    var sqliteValue: SQLiteValue { get }
}

/// A value as SQLite stores it.
public enum SQLiteValue: Sendable, Hashable, SQLiteArgument {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob(Data)

    public var sqliteValue: SQLiteValue { self }
    /// The number, if it is a whole one.
    public var integer: Int64? { if case .integer(let number) = self { number } else { nil } }
    /// The number.
    public var real: Double? {
        switch self {
        case .real(let number): number
        case .integer(let number): Double(number)
        default: nil
        }
    }
    /// The text.
    public var text: String? { if case .text(let text) = self { text } else { nil } }
    /// The bytes.
    public var blob: Data? { if case .blob(let bytes) = self { bytes } else { nil } }
    /// Whether there is no value.
    public var isNull: Bool { self == .null }
}

extension Optional: SQLiteArgument where Wrapped: SQLiteArgument {
    public var sqliteValue: SQLiteValue { self?.sqliteValue ?? .null }
}
extension Int: SQLiteArgument { public var sqliteValue: SQLiteValue { .integer(Int64(self)) } }
extension Int64: SQLiteArgument { public var sqliteValue: SQLiteValue { .integer(self) } }
extension Bool: SQLiteArgument { public var sqliteValue: SQLiteValue { .integer(self ? 1 : 0) } }
extension Double: SQLiteArgument { public var sqliteValue: SQLiteValue { .real(self) } }
extension String: SQLiteArgument { public var sqliteValue: SQLiteValue { .text(self) } }
extension Data: SQLiteArgument { public var sqliteValue: SQLiteValue { .blob(self) } }

/// One row of a result.
public struct SQLiteRow: Sendable, Hashable {
    /// The values in the order of the columns.
    public let values: [SQLiteValue]
    private let names: [String]

    init(_ statement: Statement) {
        let columns = 0..<statement.columnCount
        names = columns.map(statement.columnName)
        values = columns.map(statement.value)
    }

    /// The value of the first column of this name; null if there is none.
    public subscript(name: String) -> SQLiteValue { names.firstIndex(of: name).map { values[$0] } ?? .null }
    /// The value of a column, counted from 0; null if there is none.
    public subscript(index: Int) -> SQLiteValue { values.indices.contains(index) ? values[index] : .null }
}

/// What SQLite says when it does not do what a step's work asks for. Nothing of the step has happened then, whatever the work does with
/// the error.
public struct SQLiteError: ClassifiedError, Codable, Hashable, CustomStringConvertible {
    /// SQLite's extended result code.
    public let code: Int32
    /// What went wrong.
    public let message: String

    static let late = "the transaction has taken longer than it may: it holds up every other write"

    init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: any Error, isLate: Bool) {
        switch error {
        case let error as SQLiteError: self = error
        case let failure as SQLFailure where failure.primaryCode == SQLITE_INTERRUPT && isLate:
            self.init(code: failure.code, message: Self.late)
        case let failure as SQLFailure where failure.primaryCode == SQLITE_AUTH:
            let what = "a step's work may not control transactions, set pragmas, attach files or touch the store's own tables"
            self.init(code: failure.code, message: "\(failure.message): \(what)")
        case let failure as SQLFailure: self.init(code: failure.code, message: failure.message)
        default: self.init(code: SQLITE_ERROR, message: "\(error)")
        }
    }

    /// Always: what the transaction has done is taken back.
    public var isDefinite: Bool { true }
    /// Whether it may go another way the next time: the file was busy, the disk full or failing, the time over.
    public var isRetryable: Bool {
        [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_INTERRUPT].contains(code & 0xFF)
    }
    public var description: String { "\(message) (SQLite code \(code))" }
}
