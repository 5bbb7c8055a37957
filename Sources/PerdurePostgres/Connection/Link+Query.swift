internal import CPostgres

/// What the server answered to a statement whose values and rows are texts.
struct TextAnswer {
    private let answer: Answer

    fileprivate init(_ answer: Answer) { self.answer = answer }

    var rowCount: Int32 { answer.rowCount }
    var changes: Int { answer.changes }
    var columnNames: [String] { answer.columnNames }

    func value(_ row: Int32, _ column: Int32) -> PostgresValue {
        answer.text(row, column).map { PostgresValue($0, type: answer.type(column)) } ?? .null
    }
}

extension Link {
    /// Sends one statement of somebody else's, which is not kept, with values as texts whose types the server finds out.
    func query(
        _ sql: String, _ values: [String?], by deadline: ContinuousClock.Instant
    ) throws(LinkFailure) -> Result<TextAnswer, ServerFailure> {
        var patience = Patience(until: deadline)
        var texts = values.map { text in text.map { Array($0.utf8CString) } }
        let isSent = withPointers(to: &texts[...]) { pointers in
            PQsendQueryParams(handle, sql, Int32(pointers.count), nil, pointers, nil, nil, 0) != 0
        }
        guard isSent else { throw lost(complaint, mayCommit: false) }
        var exchange = Exchange()
        while let result = try nextResult(&patience, false, &exchange, endsWithNull: true) {
            let answer = Answer(result)
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR: try note(result, .execute(0), false, &exchange)
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: exchange.answers = [answer]
            default: throw lost("a statement must not copy", mayCommit: false)
            }
        }
        if let failure = exchange.failure { return .failure(failure) }
        guard let answer = exchange.answers.first else { throw lost("the server has not answered", mayCommit: false) }
        return .success(TextAnswer(answer))
    }

    private func withPointers<Result>(
        to texts: inout ArraySlice<[CChar]?>, _ found: [UnsafePointer<CChar>?] = [], _ body: ([UnsafePointer<CChar>?]) -> Result
    ) -> Result {
        guard let first = texts.popFirst() else { return body(found) }
        guard let first else { return withPointers(to: &texts, found + [nil], body) }
        return first.withUnsafeBufferPointer { withPointers(to: &texts, found + [$0.baseAddress], body) }
    }
}

extension Session {
    /// One statement of an author, in the transaction that goes on.
    func query(_ sql: String, _ values: [String?], by deadline: ContinuousClock.Instant) throws -> TextAnswer {
        if values.contains(where: { $0?.utf8.contains(0) ?? false }) || sql.utf8.contains(0) {
            throw ServerFailure(sqlState: "22021", message: "a text holds a NUL character, which PostgreSQL does not take")
        }
        return try link.query(sql, values, by: deadline).get()
    }
}
