internal import Foundation

/// An author's value as bytes, and the codec that wrote them.
package struct Payload: Hashable, Sendable {
    package let bytes: [UInt8]
    package let codec: PayloadCodec

    /// Size above which a value is refused unless the engine is configured otherwise: 8 MiB.
    package static let defaultLimit = 8 * 1024 * 1024

    package init(bytes: [UInt8], codec: PayloadCodec = .canonicalJSON) {
        self.bytes = bytes
        self.codec = codec
    }

    /// The canonical JSON of `value`.
    /// - Parameters:
    ///   - limit: the most bytes it may take.
    ///   - what: names the value in errors, like `the input of step "charge"`.
    /// - Throws: ``PayloadError/notEncodable(what:path:reason:)`` or ``PayloadError/tooLarge(what:size:limit:)``.
    package static func encode(
        _ value: some Encodable,
        limit: Int = defaultLimit,
        what: String
    ) throws(PayloadError) -> Payload {
        let json: JSONValue
        do {
            json = try CanonicalEncoder.encode(value)
        } catch {
            throw PayloadError(encoding: what, error)
        }
        let bytes = json.canonicalBytes
        guard bytes.count <= limit else { throw .tooLarge(what: what, size: bytes.count, limit: limit) }
        return Payload(bytes: bytes)
    }

    /// The value the bytes stand for, by Foundation's `JSONDecoder` with its default strategies; any JSON value may be on top.
    /// - Parameter what: names the value in errors.
    /// - Throws: ``PayloadError/notDecodable(what:path:expected:reason:)``.
    package func decode<T: Decodable>(_ type: T.Type = T.self, what: String) throws(PayloadError) -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw PayloadError(decoding: what, expected: "\(type)", error)
        }
    }

    /// The bytes as a JSON value, for showing and comparing.
    package func json(what: String) throws(PayloadError) -> JSONValue {
        try JSONValue.parse(bytes, what: what)
    }
}
