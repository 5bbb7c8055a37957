internal import PerdureHistory
internal import PerdureStore

/// What can be given to a statement. Only paths that run once for each event bind by hand.
protocol SQLValue {
    func bind(to statement: Statement, at index: Int32) throws
}

extension Int64: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, self) }
}

extension Int: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, Int64(self)) }
}

extension Bool: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, self ? 1 : 0) }
}

extension String: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, self) }
}

extension [UInt8]: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bindBlob(index, self) }
}

extension Timestamp: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, microseconds) }
}

extension NodeID: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, rawValue) }
}

extension RunState: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws { try statement.bind(index, rawValue) }
}

/// Bytes that are text wherever they can be read as such.
struct Readable: SQLValue {
    let bytes: [UInt8]

    func bind(to statement: Statement, at index: Int32) throws {
        try statement.bind(index, payload: bytes, readable: String(validating: bytes, as: UTF8.self) != nil)
    }
}

extension Optional: SQLValue where Wrapped: SQLValue {
    func bind(to statement: Statement, at index: Int32) throws {
        if let self { try self.bind(to: statement, at: index) } else { try statement.bindNull(index) }
    }
}
