/// The values of statements, one behind the other in the form in which they are sent.
struct Arguments {
    struct Value {
        let type: UInt32
        let start: Int
        /// nil for NULL.
        let length: Int32?
    }

    /// What the server takes in one message: it closes the connection over a longer one, and nothing would be learnt by trying again.
    static let limit = 1_000_000_000

    /// Begins with one that nobody reads: a value without bytes must still have a place, or it would be NULL.
    private(set) var bytes: [UInt8] = [0]
    private(set) var values: [Value] = []

    mutating func addNull(_ type: UInt32) {
        values.append(Value(type: type, start: bytes.count, length: nil))
    }

    /// - Parameter append: appends the value, or returns false for NULL.
    mutating func add(_ type: UInt32, _ append: (inout [UInt8]) throws -> Bool) throws {
        let start = bytes.count
        let isThere = try append(&bytes)
        values.append(Value(type: type, start: start, length: isThere ? try Self.length(bytes.count - start) : nil))
    }

    static func length(_ count: Int) throws -> Int32 {
        guard count <= limit else { throw tooLarge(count) }
        return Int32(count)
    }

    static func tooLarge(_ count: Int) -> ServerFailure {
        ServerFailure(
            sqlState: "54000", message: "what is to be stored has \(count) bytes; PostgreSQL takes at most \(limit) at once")
    }
}

/// Statements with their values, to be sent in one round trip.
struct Batch {
    struct Command {
        let sql: SQL
        /// The places of its values in `arguments`.
        let values: Range<Int>
    }

    private(set) var commands: [Command] = []
    private(set) var arguments = Arguments()

    var isEmpty: Bool { commands.isEmpty }
    var isRead: Bool { commands.allSatisfy(\.sql.isRead) }

    mutating func add<each Value: SQLValue>(_ sql: SQL, _ values: repeat each Value) throws {
        let first = arguments.values.count, start = arguments.bytes.count
        for value in repeat each values { try value.add(to: &arguments) }
        let size = arguments.bytes.count - start
        guard size <= Arguments.limit else { throw Arguments.tooLarge(size) }
        commands.append(Command(sql: sql, values: first..<arguments.values.count))
    }

    /// Puts a statement without values in front of the others.
    mutating func begin(with sql: SQL) {
        commands.insert(Command(sql: sql, values: 0..<0), at: 0)
    }
}
