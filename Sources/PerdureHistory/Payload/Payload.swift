internal import Foundation
internal import Perdure

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
    ///   - what: names the value in errors, like `the input of step "charge"`. Made only for an error.
    /// - Throws: ``PayloadError/notEncodable(what:path:reason:)`` or ``PayloadError/tooLarge(what:size:limit:)``.
    package static func encode(
        _ value: some Encodable,
        limit: Int = defaultLimit,
        what: @autoclosure () -> String
    ) throws(PayloadError) -> Payload {
        let bytes: [UInt8]
        if let plain = plainBytes(value) {
            bytes = plain
        } else {
            do {
                bytes = try CanonicalEncoder.encode(value).canonicalBytes
            } catch {
                throw PayloadError(encoding: what(), error)
            }
        }
        guard bytes.count <= limit else { throw .tooLarge(what: what(), size: bytes.count, limit: limit) }
        return Payload(bytes: bytes)
    }

    /// The value the bytes stand for, by Foundation's `JSONDecoder` with its default strategies; any JSON value may be on top.
    /// - Parameter what: names the value in errors. Made only for an error.
    /// - Throws: ``PayloadError/notDecodable(what:path:expected:reason:)``.
    package func decode<T: Decodable>(_ type: T.Type = T.self, what: @autoclosure () -> String) throws(PayloadError) -> T {
        if let value = plain(T.self) { return value }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw PayloadError(decoding: what(), expected: "\(type)", error)
        }
    }

    /// The commonest values of steps, written without an encoder; `nil` for every other type.
    private static func plainBytes<T>(_ value: T) -> [UInt8]? {
        if T.self == Int.self, let number = value as? Int { return Array(String(number).utf8) }
        if T.self == String.self, let text = value as? String { return JSONValue.string(text).canonicalBytes }
        return T.self == Nothing.self ? Array("{}".utf8) : nil
    }

    /// The commonest values of steps, read without a decoder. `nil` for every other type, and for bytes that are not the plainest form
    /// of a value: the decoder then says what they are.
    private func plain<T>(_ type: T.Type) -> T? {
        if type == String.self {
            guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else { return nil }
            let content = bytes[1..<(bytes.count - 1)]
            guard content.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else { return nil }
            return String(validating: content, as: UTF8.self) as? T
        }
        if type == Int.self {
            // Of 18 digits every number fits.
            let digits = bytes.first == UInt8(ascii: "-") ? bytes.dropFirst() : bytes[...]
            guard (1...18).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
            var number = 0
            for digit in digits {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                number = 10 * number + Int(digit - UInt8(ascii: "0"))
            }
            return (digits.count == bytes.count ? number : -number) as? T
        }
        return type == Nothing.self && bytes == Array("{}".utf8) ? Nothing() as? T : nil
    }

    /// The bytes as a JSON value, for showing and comparing.
    package func json(what: String) throws(PayloadError) -> JSONValue {
        try JSONValue.parse(bytes, what: what)
    }
}
