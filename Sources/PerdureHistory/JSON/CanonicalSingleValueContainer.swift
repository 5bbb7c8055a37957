/// Writes the one value of an encoder.
struct CanonicalSingleValueContainer: SingleValueEncodingContainer {
    let encoder: CanonicalEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }

    private var path: CodingPath { encoder.path }

    func encodeNil() throws { try encoder.set(.null) }
    func encode(_ value: Bool) throws { try encoder.set(.bool(value)) }
    func encode(_ value: String) throws { try encoder.set(.string(value)) }
    func encode(_ value: Double) throws { try encoder.set(CanonicalEncoder.json(of: value, path: path)) }
    func encode(_ value: Float) throws { try encoder.set(CanonicalEncoder.json(of: Double(value), path: path)) }
    func encode(_ value: Int) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: Int8) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: Int16) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: Int32) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: Int64) throws { try encoder.set(.integer(value)) }
    func encode(_ value: UInt) throws { try encoder.set(JSONValue(UInt64(value))) }
    func encode(_ value: UInt8) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: UInt16) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: UInt32) throws { try encoder.set(.integer(Int64(value))) }
    func encode(_ value: UInt64) throws { try encoder.set(JSONValue(value)) }
    func encode(_ value: Int128) throws { try encoder.set(CanonicalEncoder.json(ofWide: value, path: path)) }
    func encode(_ value: UInt128) throws { try encoder.set(CanonicalEncoder.json(ofWide: value, path: path)) }

    func encode<T: Encodable>(_ value: T) throws {
        // One level deeper, although the JSON is not: types that wrap themselves without end must stop somewhere.
        try encoder.set(CanonicalEncoder.json(of: value, path: path, depth: encoder.depth + 1))
    }
}
