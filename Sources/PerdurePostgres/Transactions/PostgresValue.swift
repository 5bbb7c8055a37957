public import Foundation
public import Perdure

/// A value that a statement can be given.
public protocol PostgresArgument {
    /// As it is sent.
    var postgresValue: PostgresValue { get }
}

/// A value of a statement or of its rows. Types that are none of these are `text`, as PostgreSQL writes them: dates, UUIDs, `numeric`,
/// JSON. A text that is given takes the type that its place has, so that `"2026-11-22"` is a date where one is meant.
public enum PostgresValue: Sendable, Hashable, PostgresArgument {
    case null
    case bool(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes(Data)

    public var postgresValue: PostgresValue { self }
    /// The truth value.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
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
    public var bytes: Data? { if case .bytes(let bytes) = self { bytes } else { nil } }
    /// Whether there is no value.
    public var isNull: Bool { self == .null }

    /// As PostgreSQL reads it; nil for NULL.
    var sent: String? {
        switch self {
        case .null: nil
        case .bool(let value): value ? "t" : "f"
        case .integer(let number): String(number)
        case .real(let number): number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : "\(number)"
        case .text(let text): text
        case .bytes(let bytes): bytes.reduce(into: "\\x") { $0 += Self.hex($1) }
        }
    }

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// - Parameter type: the number of its type in the server's catalogue.
    init(_ text: String, type: UInt32) {
        switch type {
        case 16: self = .bool(text == "t")
        case 20, 21, 23: self = Int64(text).map(PostgresValue.integer) ?? .text(text)
        case 700, 701: self = Double(text).map(PostgresValue.real) ?? .text(text)
        case 17: self = Self.bytes(text).map(PostgresValue.bytes) ?? .text(text)
        default: self = .text(text)
        }
    }

    private static func bytes(_ text: String) -> Data? {
        guard text.hasPrefix("\\x") else { return nil }
        let digits = Array(text.utf8.dropFirst(2)).map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0 else { return nil }
        var bytes = Data(capacity: digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}

extension Optional: PostgresArgument where Wrapped: PostgresArgument {
    public var postgresValue: PostgresValue { self?.postgresValue ?? .null }
}
extension Int: PostgresArgument { public var postgresValue: PostgresValue { .integer(Int64(self)) } }
extension Int64: PostgresArgument { public var postgresValue: PostgresValue { .integer(self) } }
extension Bool: PostgresArgument { public var postgresValue: PostgresValue { .bool(self) } }
extension Double: PostgresArgument { public var postgresValue: PostgresValue { .real(self) } }
extension String: PostgresArgument { public var postgresValue: PostgresValue { .text(self) } }
extension Data: PostgresArgument { public var postgresValue: PostgresValue { .bytes(self) } }

/// One row of a result.
public struct PostgresRow: Sendable, Hashable {
    /// The values in the order of the columns.
    public let values: [PostgresValue]
    private let names: [String]

    init(names: [String], values: [PostgresValue]) {
        self.names = names
        self.values = values
    }

    /// The value of the first column of this name; null if there is none.
    public subscript(name: String) -> PostgresValue { names.firstIndex(of: name).map { values[$0] } ?? .null }
    /// The value of a column, counted from 0; null if there is none.
    public subscript(index: Int) -> PostgresValue { values.indices.contains(index) ? values[index] : .null }
}

/// What PostgreSQL says when it does not do what a step's work asks for. Nothing of the step has happened then, whatever the work does with
/// the error.
public struct PostgresError: ClassifiedError, Codable, Hashable, CustomStringConvertible {
    /// The SQLSTATE, five characters.
    public let sqlState: String
    /// What went wrong.
    public let message: String
    /// Whether it may go another way the next time: others were in the way, the connection was lost, something was full, the time over, the
    /// server was a replica for a while.
    public let isRetryable: Bool

    static let late = "the transaction has taken longer than it may"

    init(sqlState: String, message: String, isRetryable: Bool = false) {
        self.sqlState = sqlState
        self.message = message
        self.isRetryable = isRetryable
    }

    init(_ error: any Error, isLate: Bool) {
        switch error {
        case let error as PostgresError: self = error
        case _ where isLate: self.init(sqlState: "57014", message: Self.late, isRetryable: true)
        case let failure as ServerFailure:
            self.init(sqlState: failure.sqlState, message: failure.message, isRetryable: failure.mayPass)
        default: self.init(sqlState: "08006", message: "\(error)", isRetryable: true)
        }
    }

    /// Always: what the transaction has done is taken back.
    public var isDefinite: Bool { true }
    public var description: String { "\(message) (PostgreSQL code \(sqlState))" }
}

extension ServerFailure {
    /// Whether the same statements may succeed at another time.
    fileprivate var mayPass: Bool {
        switch sqlState {
        // Parameters that do not fit the statement.
        case "08P01": false
        // A lock, an object in use, a server that only reads for now.
        case "55P03", "55006", "25006": true
        // Two that make the same table, of which the catalogue takes one; or that change it at once.
        case "23505": schema == "pg_catalog"
        case "XX000": message.contains("concurrently")
        default: ["08", "40", "53", "57", "58"].contains(String(sqlState.prefix(2)))
        }
    }
}
