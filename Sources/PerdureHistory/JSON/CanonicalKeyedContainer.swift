/// Writes the members of one object.
struct CanonicalKeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: CanonicalEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }

    private func path(_ key: some CodingKey) -> CodingPath {
        .key(key.stringValue, parent: encoder.path)
    }

    private func append(_ value: JSONValue, _ key: Key) {
        encoder.append(.value(value), forKey: key.stringValue)
    }

    func encodeNil(forKey key: Key) { append(.null, key) }
    func encode(_ value: Bool, forKey key: Key) { append(.bool(value), key) }
    func encode(_ value: String, forKey key: Key) { append(.string(value), key) }
    func encode(_ value: Double, forKey key: Key) throws {
        append(try CanonicalEncoder.json(of: value, path: path(key)), key)
    }
    func encode(_ value: Float, forKey key: Key) throws {
        append(try CanonicalEncoder.json(of: Double(value), path: path(key)), key)
    }
    func encode(_ value: Int, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: Int8, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: Int16, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: Int32, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: Int64, forKey key: Key) { append(.integer(value), key) }
    func encode(_ value: UInt, forKey key: Key) { append(JSONValue(UInt64(value)), key) }
    func encode(_ value: UInt8, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: UInt16, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: UInt32, forKey key: Key) { append(.integer(Int64(value)), key) }
    func encode(_ value: UInt64, forKey key: Key) { append(JSONValue(value), key) }
    func encode(_ value: Int128, forKey key: Key) throws {
        append(try CanonicalEncoder.json(ofWide: value, path: path(key)), key)
    }
    func encode(_ value: UInt128, forKey key: Key) throws {
        append(try CanonicalEncoder.json(ofWide: value, path: path(key)), key)
    }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        append(try CanonicalEncoder.json(of: value, path: path(key), depth: encoder.depth + 1), key)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        child(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        child(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { child(PathKey.superKey) }
    func superEncoder(forKey key: Key) -> any Encoder { child(key) }

    private func child(_ key: some CodingKey) -> CanonicalEncoder {
        let child = encoder.child(path(key))
        encoder.append(.child(child), forKey: key.stringValue)
        return child
    }
}
