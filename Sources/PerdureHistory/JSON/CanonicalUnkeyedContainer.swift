/// Writes the elements of one array.
struct CanonicalUnkeyedContainer: UnkeyedEncodingContainer {
    let encoder: CanonicalEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }
    var count: Int { encoder.elementCount }

    private var path: CodingPath { .index(count, parent: encoder.path) }

    private func append(_ value: JSONValue) {
        encoder.append(.value(value))
    }

    func encodeNil() { append(.null) }
    func encode(_ value: Bool) { append(.bool(value)) }
    func encode(_ value: String) { append(.string(value)) }
    func encode(_ value: Double) throws { append(try CanonicalEncoder.json(of: value, path: path)) }
    func encode(_ value: Float) throws { append(try CanonicalEncoder.json(of: Double(value), path: path)) }
    func encode(_ value: Int) { append(.integer(Int64(value))) }
    func encode(_ value: Int8) { append(.integer(Int64(value))) }
    func encode(_ value: Int16) { append(.integer(Int64(value))) }
    func encode(_ value: Int32) { append(.integer(Int64(value))) }
    func encode(_ value: Int64) { append(.integer(value)) }
    func encode(_ value: UInt) { append(JSONValue(UInt64(value))) }
    func encode(_ value: UInt8) { append(.integer(Int64(value))) }
    func encode(_ value: UInt16) { append(.integer(Int64(value))) }
    func encode(_ value: UInt32) { append(.integer(Int64(value))) }
    func encode(_ value: UInt64) { append(JSONValue(value)) }
    func encode(_ value: Int128) throws { append(try CanonicalEncoder.json(ofWide: value, path: path)) }
    func encode(_ value: UInt128) throws { append(try CanonicalEncoder.json(ofWide: value, path: path)) }

    func encode<T: Encodable>(_ value: T) throws {
        append(try CanonicalEncoder.json(of: value, path: path, depth: encoder.depth + 1))
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        child().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        child().unkeyedContainer()
    }

    func superEncoder() -> any Encoder { child() }

    private func child() -> CanonicalEncoder {
        let child = encoder.child(path)
        encoder.append(.child(child))
        return child
    }
}
