extension JSONValue {
    /// The value's one spelling by RFC 8785 (members sorted by UTF-16 code units, no white space, shortest numbers).
    ///
    /// Beyond the RFC, whose numbers are all doubles: integers outside ±2^53 are written as plain digits, and a number with
    /// more digits than a `Double` holds keeps them. The RFC would lose them silently.
    package var canonicalBytes: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }

    /// ``canonicalBytes`` as a string.
    package var canonicalText: String {
        String(decoding: canonicalBytes, as: UTF8.self)
    }

    /// The canonical text, cut after `limit` characters, for messages.
    package func shortText(limit: Int) -> String {
        let text = canonicalText
        guard text.count > limit else { return text }
        return text.prefix(max(0, limit - 1)) + "…"
    }

    /// The canonical text, cut after 60 characters.
    package var shortText: String { shortText(limit: 60) }

    func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .unsigned(let value): bytes.append(contentsOf: String(value).utf8)
        case .number(let value): Self.write(value, to: &bytes)
        case .decimal(let value): value.write(to: &bytes)
        case .string(let value): Self.write(value, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            var separator = false
            for element in elements {
                if separator { bytes.append(UInt8(ascii: ",")) }
                separator = true
                element.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            var separator = false
            for member in object.members {
                if separator { bytes.append(UInt8(ascii: ",")) }
                separator = true
                Self.write(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ value: Double, to bytes: inout [UInt8]) {
        if abs(value) < 9_007_199_254_740_992, let integer = Int64(exactly: value) {
            bytes.append(contentsOf: String(integer).utf8)
        } else if let decimal = DecimalText(value) {
            decimal.write(to: &bytes)
        } else {
            bytes.append(contentsOf: "null".utf8)
        }
    }

    private static func write(_ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        let plain = value.utf8.withContiguousStorageIfAvailable { source in
            guard source.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
                return false
            }
            bytes.append(contentsOf: source)
            return true
        }
        if plain != true {
            for byte in value.utf8 { writeEscaped(byte, to: &bytes) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func writeEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: #"\""#.utf8)
        case UInt8(ascii: "\\"): bytes.append(contentsOf: #"\\"#.utf8)
        case 0x08: bytes.append(contentsOf: #"\b"#.utf8)
        case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
        case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
        case 0x0C: bytes.append(contentsOf: #"\f"#.utf8)
        case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
        case ..<0x20:
            bytes.append(contentsOf: #"\u00"#.utf8)
            bytes.append(contentsOf: Hex.encode(CollectionOfOne(byte)).utf8)
        default: bytes.append(byte)
        }
    }
}

extension JSONValue: CustomStringConvertible {
    package var description: String { canonicalText }
}
