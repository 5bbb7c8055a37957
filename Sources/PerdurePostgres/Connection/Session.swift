internal import PerdureStore

/// What may be done on a link: statements and transactions. Never leaves the queue of its connection.
final class Session {
    let link: Link
    private let answerLimit: Duration
    /// A transaction was asked for, and its BEGIN waits for the first statement, to travel with it.
    private var owesBegin = false
    /// A pipeline has committed the transaction that goes on in the caller's eyes.
    private var hasCommitted = false

    private static let begin = SQL("BEGIN ISOLATION LEVEL READ COMMITTED")
    fileprivate static let end = SQL("COMMIT")
    private static let freeze = SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    private static let undo = SQL("ROLLBACK")

    /// - Parameter answerLimit: for how long the server may be silent in one round trip.
    init(_ link: Link, answerLimit: Duration) {
        self.link = link
        self.answerLimit = answerLimit
    }

    var isInTransaction: Bool { owesBegin || link.isInTransaction }

    // MARK: Statements

    /// Runs a statement that gives no rows.
    /// - Returns: how many rows it changed.
    @discardableResult
    func execute<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws -> Int {
        try answer(sql, repeat each values).changes
    }

    func all<each Value: SQLValue, Result>(
        _ sql: SQL, _ values: repeat each Value, row: (Row) throws -> Result
    ) throws -> [Result] {
        let answer = try answer(sql, repeat each values)
        return try (0..<answer.rowCount).map { try row(Row(answer, $0)) }
    }

    func first<each Value: SQLValue, Result>(
        _ sql: SQL, _ values: repeat each Value, row: (Row) throws -> Result
    ) throws -> Result? {
        let answer = try answer(sql, repeat each values)
        return answer.rowCount > 0 ? try row(Row(answer, 0)) : nil
    }

    func exists<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws -> Bool {
        try answer(sql, repeat each values).rowCount > 0
    }

    private func answer<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws -> Answer {
        var batch = Batch()
        try batch.add(sql, repeat each values)
        let exchange = try send(batch, commits: false)
        if let failure = exchange.failure { throw failure }
        return exchange.answers[0]
    }

    /// Runs SQL that is not kept and has no values: schema changes and settings. Outside of a transaction, all of it is one.
    ///
    /// - Parameter changesNothing: only the connection: nothing can be durable of it.
    func run(_ script: String, changesNothing: Bool = false) throws {
        if owesBegin { try execute(Self.nothing) }
        let mayCommit = !changesNothing && (!isInTransaction || script.uppercased().contains("COMMIT"))
        if let failure = try link.run(script, within: answerLimit, mayCommit: mayCommit) { throw failure }
    }

    /// Brings a BEGIN to the server that nothing else would take along.
    private static let nothing = SQL("SELECT 1")

    private func send(_ given: Batch, commits: Bool) throws -> Exchange {
        let mayCommit = commits || !isInTransaction && !given.isRead
        guard owesBegin else { return try link.exchange(given, within: answerLimit, mayCommit: mayCommit) }
        owesBegin = false
        var batch = given
        batch.begin(with: Self.begin)
        var exchange = try link.exchange(batch, within: answerLimit, mayCommit: mayCommit)
        if !exchange.answers.isEmpty { exchange.answers.removeFirst() }
        if let position = exchange.failure?.position { exchange.failure?.position = max(0, position - 1) }
        return exchange
    }

    // MARK: Pipelines

    /// Sends all statements of `body` in one round trip once it has returned, and then hands out their answers in their order. If one
    /// fails, those behind it were not run, and its failure is thrown after the answers before it were handed out.
    func pipeline(_ body: (Pipeline) throws -> Void) throws {
        let pipeline = Pipeline()
        try body(pipeline)
        guard !pipeline.batch.isEmpty else { return }
        if pipeline.commits, !isInTransaction { throw Self.refusal("25P01", "there is no transaction to commit") }
        var exchange = try send(pipeline.batch, commits: pipeline.commits)
        if pipeline.commits { settle(&exchange, pipeline.batch.commands.count) }
        for (answer, handler) in zip(exchange.answers, pipeline.handlers) { try handler(answer) }
        if let failure = exchange.failure { throw failure }
    }

    /// What became of the transaction that a pipeline was to commit.
    private func settle(_ exchange: inout Exchange, _ count: Int) {
        if exchange.failure != nil {
            if exchange.failure?.position == count - 1 { exchange.failure?.isCommit = true }
        } else if exchange.answers.last?.tag == "COMMIT" {
            hasCommitted = true
        } else {
            exchange.failure = Self.failedTransaction
        }
    }

    // MARK: Transactions

    /// All or nothing. If `body` throws, everything is taken back. A pipeline of its may commit; nothing may follow then.
    func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        if isInTransaction { throw Self.refusal("25001", "there is a transaction already") }
        owesBegin = true
        hasCommitted = false
        let result: Result
        do {
            result = try body()
        } catch {
            rollBack()
            throw error
        }
        if owesBegin {
            // Nothing was asked of the server.
            owesBegin = false
        } else if !link.isInTransaction {
            guard hasCommitted else { throw Self.refusal("25P01", "a statement has ended the transaction around it") }
        } else {
            try commit()
        }
        return result
    }

    /// Several questions about one state of the database. Nothing can be changed.
    func snapshot<Result>(_ body: () throws -> Result) throws -> Result {
        try transaction {
            try execute(Self.freeze)
            return try body()
        }
    }

    private func commit() throws {
        var batch = Batch()
        try batch.add(Self.end)
        var exchange = try send(batch, commits: true)
        settle(&exchange, 1)
        guard let failure = exchange.failure else { return }
        rollBack()
        throw failure
    }

    /// Takes back what is open. If that fails, the link is not used any more, and the server does it.
    func rollBack() {
        owesBegin = false
        guard !link.isLost, link.isInTransaction else { return }
        do {
            try execute(Self.undo)
        } catch {
            link.lose()
        }
    }

    /// The server answers a COMMIT of a transaction that has failed by taking it back, without an error.
    private static var failedTransaction: ServerFailure {
        var failure = refusal("25P02", "a statement before has failed, and the transaction with it")
        failure.isCommit = true
        return failure
    }

    private static func refusal(_ state: String, _ message: String) -> ServerFailure {
        ServerFailure(sqlState: state, message: message)
    }
}

/// The statements of one round trip, with what is to be done with their answers. Nothing is sent before the body has returned.
final class Pipeline {
    private(set) var batch = Batch()
    private(set) var handlers: [(Answer) throws -> Void] = []
    private(set) var commits = false

    /// A statement that gives no rows.
    /// - Parameter changed: gets the number of rows that it changed.
    func execute<each Value: SQLValue>(
        _ sql: SQL, _ values: repeat each Value, changed: ((Int) throws -> Void)? = nil
    ) throws {
        precondition(!commits, "COMMIT is the last statement of a pipeline")
        try batch.add(sql, repeat each values)
        handlers.append { answer in try changed?(answer.changes) }
    }

    /// - Parameter row: gets each row.
    func all<each Value: SQLValue>(
        _ sql: SQL, _ values: repeat each Value, row: @escaping (Row) throws -> Void
    ) throws {
        precondition(!commits, "COMMIT is the last statement of a pipeline")
        try batch.add(sql, repeat each values)
        handlers.append { answer in for index in 0..<answer.rowCount { try row(Row(answer, index)) } }
    }

    /// - Parameter take: gets all rows at once.
    func rows<each Value: SQLValue>(
        _ sql: SQL, _ values: repeat each Value, take: @escaping ([Row]) throws -> Void
    ) throws {
        precondition(!commits, "COMMIT is the last statement of a pipeline")
        try batch.add(sql, repeat each values)
        handlers.append { answer in try take((0..<answer.rowCount).map { Row(answer, $0) }) }
    }

    /// Commits the transaction around the pipeline with it. If the link is lost after this, it is not known whether that happened.
    func commit() throws {
        try execute(Session.end)
        commits = true
    }
}
