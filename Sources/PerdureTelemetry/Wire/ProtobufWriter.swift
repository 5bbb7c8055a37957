/// Writes messages in the wire format of Protocol Buffers. What has the value that a reader assumes anyway is left out, unless the caller
/// says otherwise.
package struct ProtobufWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// The bytes of a message that `body` writes.
    package static func message(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        body(&writer)
        return writer.bytes
    }

    private enum WireType: UInt64 {
        case varint = 0, fixed64 = 1, delimited = 2, fixed32 = 5
    }

    // MARK: Fields

    /// A field of type bool, enum, uint32, uint64 or int64 (as two's complement).
    package mutating func varint(_ value: UInt64, at field: Int, evenIfZero: Bool = false) {
        guard value != 0 || evenIfZero else { return }
        tag(field, .varint)
        append(varint: value)
    }

    package mutating func fixed64(_ value: UInt64, at field: Int, evenIfZero: Bool = false) {
        guard value != 0 || evenIfZero else { return }
        tag(field, .fixed64)
        append(littleEndian: value)
    }

    package mutating func fixed32(_ value: UInt32, at field: Int) {
        guard value != 0 else { return }
        tag(field, .fixed32)
        append(littleEndian: value)
    }

    package mutating func double(_ value: Double, at field: Int, evenIfZero: Bool = false) {
        fixed64(value.bitPattern, at: field, evenIfZero: evenIfZero)
    }

    package mutating func string(_ value: String, at field: Int, evenIfEmpty: Bool = false) {
        delimited(value.utf8, at: field, evenIfEmpty: evenIfEmpty)
    }

    package mutating func bytes(_ value: some Collection<UInt8>, at field: Int) {
        delimited(value, at: field, evenIfEmpty: false)
    }

    /// A nested message, also if it is empty.
    package mutating func message(at field: Int, _ body: (inout ProtobufWriter) -> Void) {
        tag(field, .delimited)
        let start = bytes.count
        body(&self)
        let length = Self.varint(UInt64(bytes.count - start))
        bytes.insert(contentsOf: length, at: start)
    }

    /// A nested message that is written already.
    package mutating func message(_ message: [UInt8], at field: Int) { delimited(message, at: field, evenIfEmpty: true) }

    /// Repeated 64-bit numbers in one field.
    package mutating func packed(_ values: [UInt64], at field: Int) {
        guard !values.isEmpty else { return }
        tag(field, .delimited)
        append(varint: UInt64(8 * values.count))
        for value in values { append(littleEndian: value) }
    }

    // MARK: Parts

    private mutating func delimited(_ value: some Collection<UInt8>, at field: Int, evenIfEmpty: Bool) {
        guard !value.isEmpty || evenIfEmpty else { return }
        tag(field, .delimited)
        append(varint: UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    private mutating func tag(_ field: Int, _ type: WireType) { append(varint: UInt64(field) << 3 | type.rawValue) }

    private mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.append(varint: value)
        return writer.bytes
    }

    private mutating func append(littleEndian value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
