/// A strict RFC 8259 parser that keeps every digit, bounds its depth and never traps.
struct JSONParser {
    struct Failure: Error {
        let offset: Int
        let reason: String
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var offset = 0
    private var depth = 0

    static func parse(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
        let result: Result<JSONValue, Failure> = bytes.withUnsafeBufferPointer { buffer in
            do throws(Failure) {
                var parser = JSONParser(bytes: buffer)
                return .success(try parser.document())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    private mutating func document() throws(Failure) -> JSONValue {
        let value = try value()
        skipSpace()
        guard offset == bytes.count else { throw failure("there is more after the end of the value") }
        return value
    }

    private mutating func value() throws(Failure) -> JSONValue {
        skipSpace()
        guard let byte = peek() else { throw failure("the text ends where a value should start") }
        switch byte {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("no value starts like this")
        }
    }

    private mutating func object() throws(Failure) -> JSONValue {
        try enter()
        var members: [JSONObject.Member] = []
        skipSpace()
        if skip(UInt8(ascii: "}")) { return leave(.object(JSONObject())) }
        repeat {
            skipSpace()
            guard peek() == UInt8(ascii: "\"") else { throw failure("a member must start with its key") }
            let key = try string()
            skipSpace()
            guard skip(UInt8(ascii: ":")) else { throw failure("a colon must follow the key") }
            members.append(JSONObject.Member(key: key, value: try value()))
            skipSpace()
        } while skip(UInt8(ascii: ","))
        guard skip(UInt8(ascii: "}")) else { throw failure("the object is not closed") }
        return leave(.object(JSONObject(unsorted: members)))
    }

    private mutating func array() throws(Failure) -> JSONValue {
        try enter()
        var elements: [JSONValue] = []
        skipSpace()
        if skip(UInt8(ascii: "]")) { return leave(.array([])) }
        repeat {
            elements.append(try value())
            skipSpace()
        } while skip(UInt8(ascii: ","))
        guard skip(UInt8(ascii: "]")) else { throw failure("the array is not closed") }
        return leave(.array(elements))
    }

    private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard skip(text.utf8Start[index]) else { throw failure("expected \(text)") }
        }
        return value
    }

    private mutating func number() throws(Failure) -> JSONValue {
        let start = offset
        _ = skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")) {
            try digits()
        }
        if skip(UInt8(ascii: ".")) { try digits() }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            try digits()
        }
        guard let value = JSONValue.number(text: bytes[start..<offset]) else {
            throw failure("the number's exponent is out of range")
        }
        return value
    }

    private mutating func digits() throws(Failure) {
        guard let first = peek(), Self.isDigit(first) else { throw failure("a digit is missing") }
        while let byte = peek(), Self.isDigit(byte) { offset += 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private mutating func enter() throws(Failure) {
        offset += 1
        depth += 1
        guard depth <= JSONValue.maximumDepth else {
            throw failure("arrays and objects nest deeper than \(JSONValue.maximumDepth) levels")
        }
    }

    private mutating func leave(_ value: JSONValue) -> JSONValue {
        depth -= 1
        return value
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
    }

    private func peek() -> UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        offset += 1
        return true
    }

    private func failure(_ reason: String) -> Failure {
        Failure(offset: offset, reason: reason)
    }
}

extension JSONParser {
    private mutating func string() throws(Failure) -> String {
        offset += 1
        let start = offset
        while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { offset += 1 }
        if peek() == UInt8(ascii: "\"") {
            defer { offset += 1 }
            return try utf8(bytes[start..<offset])
        }
        var content = Array(bytes[start..<offset])
        while let byte = peek() {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return try utf8(content)
            case UInt8(ascii: "\\"): try escape(into: &content)
            case ..<0x20: throw failure("a string holds a control character that is not escaped")
            default: content.append(byte)
            }
        }
        throw failure("a string is not closed")
    }

    private func utf8(_ content: some Collection<UInt8>) throws(Failure) -> String {
        guard let text = String(validating: content, as: UTF8.self) else { throw failure("a string is not valid UTF-8") }
        return text
    }

    private mutating func escape(into content: inout [UInt8]) throws(Failure) {
        guard let byte = peek() else { throw failure("a string is not closed") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "u"): content.append(contentsOf: String(Character(try escapedScalar())).utf8)
        default: throw failure("there is no escape like this")
        }
    }

    private mutating func escapedScalar() throws(Failure) -> Unicode.Scalar {
        let first = try fourDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard UTF16.isLeadSurrogate(UInt16(first)), skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else {
            throw failure("a surrogate stands alone")
        }
        let second = try fourDigits()
        guard UTF16.isTrailSurrogate(UInt16(second)),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw failure("a surrogate stands alone") }
        return scalar
    }

    private mutating func fourDigits() throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Hex.value(of: byte) else { throw failure("four digits must follow \\u") }
            offset += 1
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

extension JSONValue {
    /// Reads JSON text (RFC 8259, UTF-8, any value on top).
    ///
    /// Integers and long decimals keep every digit; of members with the same key the last wins.
    /// - Parameter what: names the value in the error.
    /// - Throws: ``PayloadError/notDecodable(what:path:expected:reason:)`` for anything that is not JSON or nests deeper than
    ///   ``maximumDepth``.
    package static func parse(_ bytes: [UInt8], what: String = "a JSON text") throws(PayloadError) -> JSONValue {
        do throws(JSONParser.Failure) {
            return try JSONParser.parse(bytes)
        } catch {
            throw .notDecodable(
                what: what, path: "", expected: "JSON", reason: "at byte \(error.offset) \(error.reason)")
        }
    }
}
