internal import Foundation

/// A type that does not write itself the way we need it: in hashing order, or other than `JSONDecoder` reads it.
protocol CanonicalForm: Encodable {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue
}

extension Set: CanonicalForm where Element: Encodable {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        guard depth <= JSONValue.maximumDepth else { throw CanonicalEncoder.tooDeep(path) }
        // The path says the first index for every element: a set has no others that mean anything.
        let inner = CodingPath.index(0, parent: path)
        var elements = try map { element in
            let value = try CanonicalEncoder.json(of: element, path: inner, depth: depth + 1)
            return (bytes: value.canonicalBytes, value: value)
        }
        elements.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        return .array(elements.map(\.value))
    }
}

extension Dictionary: CanonicalForm where Key: Encodable, Value: Encodable {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        guard depth <= JSONValue.maximumDepth else { throw CanonicalEncoder.tooDeep(path) }
        // The same cases in the same order as the standard library, which reads them back.
        if Key.self == String.self {
            return try object(path, depth) { $0 as? String }
        }
        if Key.self == Int.self {
            return try object(path, depth) { ($0 as? Int).map { String($0) } }
        }
        if Key.self is any CodingKeyRepresentable.Type {
            return try object(path, depth) { ($0 as? any CodingKeyRepresentable)?.codingKey.stringValue }
        }
        return try pairs(path, depth)
    }

    private func object(_ path: CodingPath, _ depth: Int, name: (Key) -> String?) throws -> JSONValue {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(count)
        for (key, value) in self {
            let text = name(key) ?? ""
            let inner = CodingPath.key(text, parent: path)
            let json = try CanonicalEncoder.json(of: value, path: inner, depth: depth + 1)
            members.append(JSONObject.Member(key: text, value: json))
        }
        let object = JSONObject(unsorted: members)
        guard object.count == count else {
            throw Self.collision(path, "two keys of the dictionary are written the same, so one of them would be lost")
        }
        return .object(object)
    }

    private func pairs(_ path: CodingPath, _ depth: Int) throws -> JSONValue {
        var pairs: [(bytes: [UInt8], key: JSONValue, value: JSONValue)] = []
        pairs.reserveCapacity(count)
        let inner = CodingPath.index(0, parent: path)
        for (key, value) in self {
            let encodedKey = try CanonicalEncoder.json(of: key, path: inner, depth: depth + 1)
            let place = CodingPath.key(encodedKey.shortText, parent: path)
            let encodedValue = try CanonicalEncoder.json(of: value, path: place, depth: depth + 1)
            pairs.append((encodedKey.canonicalBytes, encodedKey, encodedValue))
        }
        pairs.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        for index in pairs.indices.dropFirst() where pairs[index - 1].bytes == pairs[index].bytes {
            throw Self.collision(path, "two keys of the dictionary are written the same, so one of them would be lost")
        }
        return .array(pairs.flatMap { [$0.key, $0.value] })
    }

    private static func collision(_ path: CodingPath, _ reason: String) -> EncodingError {
        EncodingError.invalidValue(Self.self, EncodingError.Context(codingPath: path.keys, debugDescription: reason))
    }
}

extension Date: CanonicalForm {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        try CanonicalEncoder.json(of: timeIntervalSinceReferenceDate, path: path)
    }
}

extension Data: CanonicalForm {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        .string(base64EncodedString())
    }
}

extension URL: CanonicalForm {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        .string(absoluteString)
    }
}

extension Decimal: CanonicalForm {
    func canonicalForm(path: CodingPath, depth: Int) throws -> JSONValue {
        guard !isNaN, let value = JSONValue.number(text: Array(description.utf8)) else {
            let context = EncodingError.Context(
                codingPath: path.keys, debugDescription: "\(self) is not a number that JSON can hold")
            throw EncodingError.invalidValue(self, context)
        }
        return value
    }
}
