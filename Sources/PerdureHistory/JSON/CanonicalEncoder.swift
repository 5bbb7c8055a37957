/// Turns any `Encodable` into a ``JSONValue`` that does not depend on hashing order, and that Foundation's `JSONDecoder` with
/// its default strategies reads back.
///
/// `Set` and dictionaries with keys other than strings and integers, which encode themselves in hashing order, are sorted by
/// the canonical bytes of their elements and keys. They are recognised wherever they are handed to a container. The one place
/// that nobody can see is a type whose own `encode(to:)` calls `set.encode(to: encoder)` with the encoder it was given: that
/// looks like an array, and should be `encoder.singleValueContainer().encode(set)`.
package final class CanonicalEncoder: Encoder {
    /// What was encoded so far. A container that was handed out stays a child encoder until the end.
    enum Content {
        case nothing
        case value(JSONValue)
        case array([Slot])
        case object([(key: String, slot: Slot)])
    }

    enum Slot {
        case value(JSONValue)
        case child(CanonicalEncoder)
    }

    let path: CodingPath
    let depth: Int
    var content = Content.nothing
    /// A wrong use that could not be thrown where it happened; reported at the end.
    var misuse: String?

    package var codingPath: [any CodingKey] { path.keys }
    package var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(path: CodingPath, depth: Int) {
        self.path = path
        self.depth = depth
    }

    /// The JSON value of `value`.
    /// - Throws: `EncodingError` with the coding path for numbers that are not finite, keys that collide and data that nests
    ///   deeper than ``JSONValue/maximumDepth``; and whatever `value` throws.
    package static func encode(_ value: some Encodable) throws -> JSONValue {
        try json(of: value, path: .root, depth: 0)
    }

    package func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        becomeObject()
        return KeyedEncodingContainer(CanonicalKeyedContainer<Key>(encoder: self))
    }

    package func unkeyedContainer() -> any UnkeyedEncodingContainer {
        becomeArray()
        return CanonicalUnkeyedContainer(encoder: self)
    }

    package func singleValueContainer() -> any SingleValueEncodingContainer {
        CanonicalSingleValueContainer(encoder: self)
    }

    // As Foundation does, a second container of the same kind goes on with the first, which is how a subclass and its
    // superclass share an object.
    private func becomeObject() {
        switch content {
        case .object: break
        case .nothing: content = .object([])
        default: misuse = misuse ?? "an object was started after another value had been encoded in its place"
        }
    }

    private func becomeArray() {
        switch content {
        case .array: break
        case .nothing: content = .array([])
        default: misuse = misuse ?? "an array was started after another value had been encoded in its place"
        }
    }

    func set(_ value: JSONValue) throws {
        guard case .nothing = content else {
            throw failure(value, "a second value was encoded in the same place")
        }
        content = .value(value)
    }

    func append(_ slot: Slot, forKey key: String) {
        guard case .object(var members) = content else { return }
        content = .nothing
        members.append((key, slot))
        content = .object(members)
    }

    func append(_ slot: Slot) {
        guard case .array(var elements) = content else { return }
        content = .nothing
        elements.append(slot)
        content = .array(elements)
    }

    var elementCount: Int {
        guard case .array(let elements) = content else { return 0 }
        return elements.count
    }

    /// An encoder for a value inside this one.
    func child(_ path: CodingPath) -> CanonicalEncoder {
        CanonicalEncoder(path: path, depth: depth + 1)
    }

    /// The value, once everything has been encoded; nothing encoded is an empty object.
    func finish() throws -> JSONValue {
        if let misuse { throw failure(misuse, misuse) }
        guard depth <= JSONValue.maximumDepth else { throw Self.tooDeep(path) }
        switch content {
        case .nothing:
            return .object(JSONObject())
        case .value(let value):
            return value
        case .array(let slots):
            return .array(try slots.map(Self.finish))
        case .object(let slots):
            return .object(
                JSONObject(unsorted: try slots.map { JSONObject.Member(key: $0.key, value: try Self.finish($0.slot)) }))
        }
    }

    private static func finish(_ slot: Slot) throws -> JSONValue {
        switch slot {
        case .value(let value): value
        case .child(let encoder): try encoder.finish()
        }
    }

    private func failure(_ value: Any, _ reason: String) -> EncodingError {
        EncodingError.invalidValue(value, EncodingError.Context(codingPath: codingPath, debugDescription: reason))
    }
}

extension CanonicalEncoder {
    /// The JSON value of anything encodable that stands at `path`, `depth` levels below the top.
    static func json<T: Encodable>(of value: T, path: CodingPath, depth: Int) throws -> JSONValue {
        // The type is asked before the value is boxed: most types are structs of the author's and take no cast at all.
        if T.self is any CanonicalForm.Type, let form = value as? any CanonicalForm {
            return try form.canonicalForm(path: path, depth: depth)
        }
        guard depth <= JSONValue.maximumDepth else { throw tooDeep(path) }
        let encoder = CanonicalEncoder(path: path, depth: depth)
        try value.encode(to: encoder)
        return try encoder.finish()
    }

    static func tooDeep(_ path: CodingPath) -> EncodingError {
        let reason = "arrays and objects nest deeper than \(JSONValue.maximumDepth) levels"
        return EncodingError.invalidValue(
            reason, EncodingError.Context(codingPath: path.keys, debugDescription: reason))
    }

    /// A number as JSON; `path` is where it stands.
    static func json(of value: Double, path: @autoclosure () -> CodingPath) throws -> JSONValue {
        guard value.isFinite else {
            let context = EncodingError.Context(
                codingPath: path().keys, debugDescription: "\(value) is not a number that JSON can hold")
            throw EncodingError.invalidValue(value, context)
        }
        return .number(value)
    }

    static func json(ofWide value: some FixedWidthInteger, path: @autoclosure () -> CodingPath) throws -> JSONValue {
        if let integer = Int64(exactly: value) { return .integer(integer) }
        if let unsigned = UInt64(exactly: value) { return .unsigned(unsigned) }
        let context = EncodingError.Context(
            codingPath: path().keys, debugDescription: "the integer needs more than 64 bits")
        throw EncodingError.invalidValue(value, context)
    }
}
