import Foundation

/// The public name of one run: a UUIDv7 (RFC 9562), so that ids sort by the time the run was started.
public struct RunID: Hashable, Sendable, Codable, LosslessStringConvertible {
    /// The id as lower-case text with hyphens, the form that history, logs and commands use.
    public let description: String

    /// Reads an id from text. Returns `nil` for anything that is not a UUID; case does not matter.
    public init?(_ text: String) {
        guard let uuid = UUID(uuidString: text) else { return nil }
        description = uuid.uuidString.lowercased()
    }

    /// Builds a UUIDv7 from a time in milliseconds since 1970 and 74 random bits.
    package init(milliseconds: Int64, random: (UInt64, UInt64)) {
        let time = UInt64(clamping: milliseconds) & 0xFFFF_FFFF_FFFF
        let high = time << 16 | 0x7000 | random.0 & 0x0FFF
        let low = 0x8000_0000_0000_0000 | random.1 & 0x3FFF_FFFF_FFFF_FFFF
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let first = hex(high, 16), second = hex(low, 16)
        description =
            "\(first.prefix(8))-\(first.dropFirst(8).prefix(4))-\(first.suffix(4))-\(second.prefix(4))-\(second.suffix(12))"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = RunID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a run id (a UUID)")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
