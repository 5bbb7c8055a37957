internal import Foundation
internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What can be given to a statement: single values, arrays of them, and either with NULL.
protocol SQLValue {
    /// The type of the parameter on the server.
    static var oid: UInt32 { get }
    func add(to arguments: inout Arguments) throws
}

/// A single value, in the form in which the server sends and takes it (its binary format).
protocol SQLScalar: SQLValue {
    static var type: SQLType { get }
    /// - Returns: false for NULL; nothing was appended then.
    func append(to bytes: inout [UInt8]) throws -> Bool
}

extension SQLScalar {
    static var oid: UInt32 { type.oid }

    func add(to arguments: inout Arguments) throws {
        try arguments.add(Self.oid) { bytes in try append(to: &bytes) }
    }
}

/// A type of the server with that of its arrays. The numbers are fixed in PostgreSQL's own catalogue.
struct SQLType {
    let oid: UInt32
    let array: UInt32

    static let bool = SQLType(oid: 16, array: 1000)
    static let bytes = SQLType(oid: 17, array: 1001)
    static let integer = SQLType(oid: 20, array: 1016)
    static let text = SQLType(oid: 25, array: 1009)
}

/// Bytes of any kind, on the server `bytea`. An array of bytes would be an array of numbers.
struct Bytes: Sendable, Hashable {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

extension [UInt8] {
    mutating func append(bigEndian number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}

// MARK: Single values

extension Int64: SQLScalar {
    static var type: SQLType { .integer }

    func append(to bytes: inout [UInt8]) -> Bool {
        bytes.append(bigEndian: self)
        return true
    }
}

extension Int: SQLScalar {
    static var type: SQLType { .integer }
    func append(to bytes: inout [UInt8]) -> Bool { Int64(self).append(to: &bytes) }
}

extension Timestamp: SQLScalar {
    static var type: SQLType { .integer }
    func append(to bytes: inout [UInt8]) -> Bool { microseconds.append(to: &bytes) }
}

extension Bool: SQLScalar {
    static var type: SQLType { .bool }

    func append(to bytes: inout [UInt8]) -> Bool {
        bytes.append(self ? 1 : 0)
        return true
    }
}

extension String: SQLScalar {
    static var type: SQLType { .text }

    func append(to bytes: inout [UInt8]) throws -> Bool {
        var text = self
        try text.withUTF8 { characters in
            // The server refuses it as well, but with the whole transaction.
            guard !characters.contains(0) else {
                throw ServerFailure(
                    sqlState: "22021",
                    message: "a text holds a NUL character: \(String(decoding: characters.prefix(64), as: UTF8.self).legible)")
            }
            bytes.append(contentsOf: characters)
        }
        return true
    }
}

extension Bytes: SQLScalar {
    static var type: SQLType { .bytes }

    func append(to bytes: inout [UInt8]) -> Bool {
        bytes.append(contentsOf: self.bytes)
        return true
    }
}

extension RunState: SQLScalar {
    static var type: SQLType { .text }
    func append(to bytes: inout [UInt8]) throws -> Bool { try rawValue.append(to: &bytes) }
}

extension NodeID: SQLScalar {
    static var type: SQLType { .text }
    func append(to bytes: inout [UInt8]) throws -> Bool { try rawValue.append(to: &bytes) }
}

extension RunID: SQLScalar {
    static var type: SQLType { .text }
    func append(to bytes: inout [UInt8]) throws -> Bool { try description.append(to: &bytes) }
}

// MARK: NULL and arrays

extension Optional: SQLValue where Wrapped: SQLValue {
    static var oid: UInt32 { Wrapped.oid }

    func add(to arguments: inout Arguments) throws {
        if let self { try self.add(to: &arguments) } else { arguments.addNull(Self.oid) }
    }
}

extension Optional: SQLScalar where Wrapped: SQLScalar {
    static var type: SQLType { Wrapped.type }
    func append(to bytes: inout [UInt8]) throws -> Bool { try self?.append(to: &bytes) ?? false }
}

extension Array: SQLValue where Element: SQLScalar {
    static var oid: UInt32 { Element.type.array }

    func add(to arguments: inout Arguments) throws {
        try arguments.add(Self.oid) { bytes in
            // How many dimensions, whether one of the values is NULL, and of what type they are.
            bytes.append(bigEndian: Int32(isEmpty ? 0 : 1))
            let flag = bytes.count
            bytes.append(bigEndian: Int32(0))
            bytes.append(bigEndian: Element.type.oid)
            guard !isEmpty else { return true }
            bytes.append(bigEndian: try Arguments.length(count))
            bytes.append(bigEndian: Int32(1))
            for element in self {
                let start = bytes.count
                bytes.append(bigEndian: Int32(-1))
                if try element.append(to: &bytes) {
                    let length = try Arguments.length(bytes.count - start - 4)
                    Swift.withUnsafeBytes(of: length.bigEndian) { bytes.replaceSubrange(start..<start + 4, with: $0) }
                } else {
                    bytes[flag + 3] = 1
                }
            }
            return true
        }
    }
}
