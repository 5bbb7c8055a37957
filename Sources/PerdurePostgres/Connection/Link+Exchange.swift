internal import CPostgres
internal import Foundation

/// What came back for the statements of one round trip.
struct Exchange {
    /// Of the statements before the first that failed, or of all.
    var answers: [Answer] = []
    var failure: ServerFailure?
}

extension Link {
    /// Sends the statements at once and waits for their answers. Outside of a transaction, all of them are one.
    ///
    /// - Parameter mayCommit: whether something may be durable if the answer is lost.
    /// - Throws: `LinkFailure`; the link is lost then.
    func exchange(_ batch: Batch, within limit: Duration, mayCommit: Bool) throws(LinkFailure) -> Exchange {
        var patience = Patience(silence: limit)
        guard PQenterPipelineMode(handle) != 0 else { throw lost(complaint, mayCommit: false) }
        // One answer comes for each, in this order.
        let expected = try send(batch, mayCommit: mayCommit)
        var exchange = Exchange()
        var next = expected.makeIterator()
        while let result = try nextResult(&patience, mayCommit, &exchange) {
            let answer = Answer(result)
            let status = PQresultStatus(result)
            if status == PGRES_PIPELINE_SYNC { break }
            guard let part = next.next() else { throw lost("the server answers what was not asked", mayCommit: mayCommit) }
            switch (status, part) {
            case (PGRES_COMMAND_OK, .prepare): continue
            case (PGRES_COMMAND_OK, .execute), (PGRES_TUPLES_OK, .execute), (PGRES_EMPTY_QUERY, .execute):
                exchange.answers.append(answer)
            case (PGRES_FATAL_ERROR, _), (PGRES_PIPELINE_ABORTED, _):
                if case .prepare(let slot, _) = part { prepared.remove(slot) }
                if status == PGRES_FATAL_ERROR { try note(result, part, mayCommit, &exchange) }
            default: throw lost("the server answers in a way that was not asked for", mayCommit: mayCommit)
            }
        }
        guard exchange.failure != nil || exchange.answers.count == batch.commands.count, PQexitPipelineMode(handle) != 0 else {
            if exchange.failure == nil { throw lost(complaint, mayCommit: mayCommit) }
            lose()
            return exchange
        }
        if exchange.failure?.spoilsStatements == true { lose() }
        return exchange
    }

    /// Runs a script of any number of statements without values.
    func run(_ script: String, within limit: Duration, mayCommit: Bool) throws(LinkFailure) -> ServerFailure? {
        var patience = Patience(silence: limit)
        guard PQsendQuery(handle, script) != 0 else { throw lost(complaint, mayCommit: false) }
        var exchange = Exchange()
        while let result = try nextResult(&patience, mayCommit, &exchange, endsWithNull: true) {
            let answer = Answer(result)
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR: try note(result, .execute(0), mayCommit, &exchange)
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: exchange.answers = [answer]
            default: throw lost("a script must not copy", mayCommit: mayCommit)
            }
        }
        return exchange.failure
    }

    enum Part {
        /// The slot, and the place of the statement that needs it.
        case prepare(Int, Int)
        case execute(Int)
    }

    func lost(_ why: String, mayCommit: Bool) -> LinkFailure {
        lose()
        return LinkFailure(description: "the connection to the server was lost: \(why)", mayHaveCommitted: mayCommit)
    }

    // MARK: Sending

    /// Gives everything to libpq, which keeps what the socket does not take yet.
    private func send(_ batch: Batch, mayCommit: Bool) throws(LinkFailure) -> [Part] {
        var parts: [Part] = []
        let arguments = batch.arguments
        let types = arguments.values.map(\.type), lengths = arguments.values.map { $0.length ?? 0 }
        let formats = [Int32](repeating: 1, count: types.count)
        var isSent = true
        arguments.bytes.withUnsafeBytes { bytes in
            let start = bytes.bindMemory(to: CChar.self).baseAddress
            let pointers = arguments.values.map { value in value.length == nil ? nil : start.map { $0 + value.start } }
            for (index, command) in batch.commands.enumerated() where isSent {
                let first = command.values.lowerBound, count = Int32(command.values.count)
                pointers[first...].withUnsafeBufferPointer { pointers in
                    types[first...].withUnsafeBufferPointer { types in
                        lengths[first...].withUnsafeBufferPointer { lengths in
                            formats[first...].withUnsafeBufferPointer { formats in
                                let values = Values(
                                    count: count, types: types.baseAddress, pointers: pointers.baseAddress,
                                    lengths: lengths.baseAddress, formats: formats.baseAddress)
                                isSent = send(command.sql, values, at: index, &parts)
                            }
                        }
                    }
                }
            }
        }
        // A COMMIT that has reached the server is done whether what follows it arrives or not.
        guard isSent, PQpipelineSync(handle) != 0 else { throw lost(complaint, mayCommit: mayCommit) }
        return parts
    }

    private struct Values {
        let count: Int32
        let types: UnsafePointer<Oid>?
        let pointers: UnsafePointer<UnsafePointer<CChar>?>?
        let lengths: UnsafePointer<Int32>?
        let formats: UnsafePointer<Int32>?
    }

    private func send(_ sql: SQL, _ values: Values, at index: Int, _ parts: inout [Part]) -> Bool {
        guard preparesStatements else {
            parts.append(.execute(index))
            return PQsendQueryParams(
                handle, sql.text, values.count, values.types, values.pointers, values.lengths, values.formats, 1) != 0
        }
        let name = sql.name
        if prepared.insert(sql.slot).inserted {
            parts.append(.prepare(sql.slot, index))
            guard PQsendPrepare(handle, name, sql.text, values.count, values.types) != 0 else { return false }
        }
        parts.append(.execute(index))
        return PQsendQueryPrepared(handle, name, values.count, values.pointers, values.lengths, values.formats, 1) != 0
    }

    // MARK: Receiving

    /// Keeps the first failure; the link is lost if the server ends it with this one.
    func note(_ result: OpaquePointer, _ part: Part, _ mayCommit: Bool, _ exchange: inout Exchange) throws(LinkFailure) {
        guard exchange.failure == nil else { return }
        guard var failure = ServerFailure(result) else {
            throw lost(String(cString: PQresultErrorMessage(result)), mayCommit: mayCommit)
        }
        if failure.endsLink { throw lost("\(failure)", mayCommit: mayCommit) }
        failure.position =
            switch part {
            case .prepare(_, let index), .execute(let index): index
            }
        exchange.failure = failure
    }

    /// The next result that is one. Between those of two statements libpq gives none; two such in a row are the end.
    ///
    /// - Parameter exchange: once a statement has failed, nothing was or will be committed: a link that is lost then changes nothing of
    ///   that.
    func nextResult(
        _ patience: inout Patience, _ mayCommit: Bool, _ exchange: inout Exchange, endsWithNull: Bool = false
    ) throws(LinkFailure) -> OpaquePointer? {
        let mayCommit = mayCommit && exchange.failure == nil
        for _ in 0..<2 {
            while PQisBusy(handle) != 0 {
                let flush = PQflush(handle)
                if flush < 0 { throw lost(complaint, mayCommit: mayCommit) }
                guard Readiness.wait(for: [(socket, flush == 0 ? .reading : .both)], until: patience.end) != nil else {
                    throw lost("it has not answered within \(patience.limit)", mayCommit: mayCommit)
                }
                patience.noteProgress()
                // Where this fails, what has come before may still hold the server's reason, and the next result tells it.
                if PQconsumeInput(handle) == 0, PQstatus(handle) == CONNECTION_OK { throw lost(complaint, mayCommit: mayCommit) }
            }
            if let result = PQgetResult(handle) { return result }
            if endsWithNull, PQstatus(handle) == CONNECTION_OK { return nil }
        }
        throw lost(complaint, mayCommit: mayCommit)
    }
}
