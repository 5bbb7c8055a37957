internal import CPostgres

/// What the server answered when it did not do what was asked.
struct ServerFailure: Error, Hashable {
    /// Five characters that say what it is, in every version and language.
    let sqlState: String
    let message: String
    /// More about the data; may quote it.
    var detail: String?
    /// The constraint that was violated, if one was, and the schema that it belongs to.
    var constraint: String?
    var schema: String?
    /// Whether it was the COMMIT that failed.
    var isCommit = false
    /// Which statement of a pipeline failed, from 0.
    var position: Int?
    /// Whether the server has ended the connection with it.
    var endsLink = false

    init(sqlState: String, message: String) {
        self.sqlState = sqlState
        self.message = message
    }

    /// - Returns: nil if it is libpq that speaks, which has no codes: the link is gone.
    init?(_ result: OpaquePointer) {
        func field(_ letter: Unicode.Scalar) -> String? {
            PQresultErrorField(result, Int32(letter.value)).map { String(cString: $0) }
        }
        // The letters of PG_DIAG_…, macros that Swift does not import.
        guard let state = field("C") else { return nil }
        self.init(sqlState: state, message: field("M") ?? "no message")
        detail = field("D")
        constraint = field("n")
        schema = field("s")
        endsLink = ["FATAL", "PANIC"].contains(field("V") ?? field("S"))
    }

    /// Whether the data of one item is to blame, so that the others can still be written. A violated constraint is among them: whoever
    /// expects one asks for it by name first.
    var isAboutData: Bool { ["22", "23", "54"].contains(sqlState.prefix(2)) }

    /// Whether the table, or its schema, is not there.
    var isAboutMissingTable: Bool { ["42P01", "3F000"].contains(sqlState) }

    /// Whether the same transaction may succeed if it is done again: others were in its way.
    var isRetryable: Bool { ["40001", "40P01"].contains(sqlState) }

    func isUnique(_ constraint: String) -> Bool { sqlState == "23505" && self.constraint == constraint }

    /// Whether the link's prepared statements are not what they were: the link cannot go on with them.
    var spoilsStatements: Bool {
        // Unknown, known already, or its rows have other columns than they had.
        ["26000", "42P05"].contains(sqlState) || sqlState == "0A000" && message.contains("cached plan")
    }
}

extension ServerFailure: CustomStringConvertible {
    var description: String { "\(message) (PostgreSQL code \(sqlState))" }
}

/// The link ended, or did not answer in time, with an answer outstanding.
struct LinkFailure: Error, Hashable, CustomStringConvertible {
    let description: String
    /// Whether the server may have done durably what was asked.
    let mayHaveCommitted: Bool
}
