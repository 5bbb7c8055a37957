internal import CPostgres
internal import PerdureStore

/// What the server answered to one statement.
final class Answer {
    fileprivate let result: OpaquePointer

    init(_ result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    var rowCount: Int32 { PQntuples(result) }
    /// How many rows the statement changed or returned.
    var changes: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }
    var columnNames: [String] { (0..<PQnfields(result)).map { PQfname(result, $0).map { String(cString: $0) } ?? "" } }
    /// The number of a column's type in the server's catalogue.
    func type(_ column: Int32) -> UInt32 { PQftype(result, column) }
    /// A value that was sent as a text; nil for NULL.
    func text(_ row: Int32, _ column: Int32) -> String? {
        guard row < PQntuples(result), column < PQnfields(result), PQgetisnull(result, row, column) == 0 else { return nil }
        let bytes = UnsafeRawBufferPointer(start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
        return String(decoding: bytes, as: UTF8.self)
    }
    /// What the server says it has done, such as `COMMIT`.
    var tag: String { String(cString: PQcmdStatus(result)) }
}

/// A row of an answer. Trusts nothing that the server sends: a value of another type or size than expected is a `BadRow`.
struct Row {
    private let answer: Answer
    private let index: Int32

    init(_ answer: Answer, _ index: Int32) {
        self.answer = answer
        self.index = index
    }

    private var result: OpaquePointer { answer.result }

    // MARK: Columns, from 0

    /// A column that does not exist is not NULL.
    func isNull(_ column: Int32) -> Bool {
        column >= 0 && column < PQnfields(result) && PQgetisnull(result, index, column) != 0
    }

    func integer(_ column: Int32) throws(BadRow) -> Int64 {
        defer { withExtendedLifetime(answer) {} }
        let raw = try raw(column, "an integer", Self.integers)
        func number<Number: FixedWidthInteger>(_: Number.Type) -> Int64 {
            Int64(truncatingIfNeeded: Number(bigEndian: raw.loadUnaligned(as: Number.self)))
        }
        return switch (PQftype(result, column), raw.count) {
        case (20, 8): number(Int64.self)
        case (23, 4): number(Int32.self)
        case (21, 2): number(Int16.self)
        default: throw bad(column, "an integer")
        }
    }

    func optionalInteger(_ column: Int32) throws(BadRow) -> Int64? { isNull(column) ? nil : try integer(column) }

    func bool(_ column: Int32) throws(BadRow) -> Bool {
        defer { withExtendedLifetime(answer) {} }
        let raw = try raw(column, "a truth value", Self.bools)
        guard raw.count == 1, raw[0] <= 1 else { throw bad(column, "a truth value") }
        return raw[0] == 1
    }

    func text(_ column: Int32) throws(BadRow) -> String {
        defer { withExtendedLifetime(answer) {} }
        guard let text = String(validating: try raw(column, "text", Self.texts), as: UTF8.self) else {
            throw bad(column, "UTF-8 text")
        }
        return text
    }

    func optionalText(_ column: Int32) throws(BadRow) -> String? { isNull(column) ? nil : try text(column) }

    /// The bytes of a `bytea`, or of a text as it is stored.
    func bytes(_ column: Int32) throws(BadRow) -> [UInt8] { try withBytes(column) { Array($0) } }

    func optionalBytes(_ column: Int32) throws(BadRow) -> [UInt8]? { isNull(column) ? nil : try bytes(column) }

    /// The same without a copy: they are gone when `body` returns.
    func withBytes<Result>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> Result) throws(BadRow) -> Result {
        let raw = try raw(column, "bytes", Self.anyBytes)
        return withExtendedLifetime(answer) { body(raw) }
    }

    // MARK: What the server sent

    // int8, int4 and int2; bool; text, varchar and name; bytea.
    private static let integers: [UInt32] = [20, 23, 21]
    private static let bools: [UInt32] = [16]
    private static let texts: [UInt32] = [25, 1043, 19]
    private static let anyBytes: [UInt32] = [17, 25, 1043, 19]

    /// Lives as long as the answer, which the caller holds until it is done with it.
    private func raw(_ column: Int32, _ expected: String, _ types: [UInt32]) throws(BadRow) -> UnsafeRawBufferPointer {
        guard column >= 0, column < PQnfields(result), PQfformat(result, column) == 1, types.contains(PQftype(result, column)),
            PQgetisnull(result, index, column) == 0
        else { throw bad(column, expected) }
        return UnsafeRawBufferPointer(
            start: PQgetvalue(result, index, column), count: Int(PQgetlength(result, index, column)))
    }

    private func bad(_ column: Int32, _ expected: String) -> BadRow {
        let name = PQfname(result, column).map { String(cString: $0) } ?? "number \(column)"
        return BadRow("column \(name) does not hold \(expected)")
    }
}
