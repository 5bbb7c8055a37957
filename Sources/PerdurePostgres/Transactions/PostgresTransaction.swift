public import Perdure

/// The PostgreSQL database in which the engine keeps its histories, for steps that write there themselves: `.transactional(in: .postgres)`.
public struct PostgresDatabase: TransactionalStore {
    /// What the body writes with.
    public typealias Connection = PostgresTransaction
    /// For messages.
    public static let name = "a PostgreSQL database"
    /// The database in which the engine keeps its histories.
    public static let postgres = PostgresDatabase()
}

extension TransactionalEffect where Store == PostgresDatabase {
    /// The work is done in a transaction of the PostgreSQL database in which the engine keeps its histories: both or neither, so exactly
    /// once.
    public static func transactional(in store: PostgresDatabase) -> TransactionalEffect { TransactionalEffect() }
}

/// A connection in the middle of a transaction (`READ COMMITTED`) that ends with the record of a step. It is lent for one call of the body:
/// used later, it only throws.
///
/// It executes SQL with values in the places of `$1`, `$2` …, one statement at a time, as the role of the engine's connections. Statements
/// that begin or end transactions or change the settings of the connection are refused, and so are `COPY`, `LISTEN`, `DO` and everything
/// that names the engine's own schema `perdure`. What a function does that is called is not looked at; one that ended the transaction would
/// undo the step.
public final class PostgresTransaction {
    private let session: Session
    private let deadline: ContinuousClock.Instant
    /// What the server itself breaks off at the deadline leaves the link as it is.
    private static let grace = Duration.seconds(1)
    private var hasEnded = false
    /// What has ended the transaction: the server does nothing more in it.
    private var failure: PostgresError?

    init(_ session: Session, limit: Duration) {
        self.session = session
        deadline = .now + limit
    }

    /// Executes one statement.
    ///
    /// - Parameter arguments: The values of its parameters (`$1`, `$2` …), all of them.
    /// - Returns: How many rows it has inserted, changed, deleted or returned.
    /// - Throws: `PostgresError`.
    @discardableResult
    public func execute<each Argument: PostgresArgument>(_ sql: String, _ arguments: repeat each Argument) throws -> Int {
        try run(sql, values(repeat each arguments)).changes
    }

    /// Executes one statement and returns its rows.
    ///
    /// - Parameter arguments: The values of its parameters (`$1`, `$2` …), all of them.
    /// - Throws: `PostgresError`.
    public func rows<each Argument: PostgresArgument>(_ sql: String, _ arguments: repeat each Argument) throws -> [PostgresRow] {
        let answer = try run(sql, values(repeat each arguments))
        let names = answer.columnNames
        return (0..<answer.rowCount).map { row in
            PostgresRow(names: names, values: names.indices.map { answer.value(row, Int32($0)) })
        }
    }

    private func values<each Argument: PostgresArgument>(_ arguments: repeat each Argument) -> [PostgresValue] {
        var values: [PostgresValue] = []
        for argument in repeat each arguments { values.append(argument.postgresValue) }
        return values
    }

    private func run(_ sql: String, _ arguments: [PostgresValue]) throws -> TextAnswer {
        if let reason = AuthorGuard.refusal(of: sql) { throw PostgresError(sqlState: "42501", message: reason) }
        return try send(sql, arguments)
    }

    private func send(_ sql: String, _ arguments: [PostgresValue] = []) throws -> TextAnswer {
        try checkUsable()
        do {
            let answer = try session.query(sql, arguments.map(\.sent), by: deadline + Self.grace)
            if !session.link.isInTransaction {
                failure = PostgresError(sqlState: "2D000", message: "a statement has ended the transaction of the step")
            }
            return answer
        } catch {
            let failure = PostgresError(error, isLate: isLate)
            self.failure = failure
            throw failure
        }
    }

    private var isLate: Bool { ContinuousClock.now >= deadline }

    /// Does what the server would else put off until the commit, such as the check of a deferred constraint: what fails is the work's
    /// failure.
    /// - Throws: if what was done must not be recorded: the first error that there was, caught by the work or not.
    func settle() throws { _ = try send("SET CONSTRAINTS ALL IMMEDIATE") }

    private func checkUsable() throws {
        if hasEnded { throw PostgresError(sqlState: "55000", message: "the connection was lent for one call, which is over") }
        if let failure { throw failure }
        if isLate { throw PostgresError(sqlState: "57014", message: PostgresError.late, isRetryable: true) }
    }

    func end() { hasEnded = true }
}
