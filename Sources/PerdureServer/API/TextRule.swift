internal import Foundation
internal import Perdure
internal import PerdureHistory

/// What a text in an address or a body has to be: one truth for the check of what comes in and for the description that is served.
enum TextRule: Sendable, Hashable {
    /// A namespace, workflow, signal, queue or schedule.
    case identifier
    /// A workflow key, an id, a principal.
    case key
    case version
    case run
    /// A step, question or child as history names it.
    case subject
    case cursor
    /// A label's name and value: `NAME=VALUE`.
    case label
    case oneOf([String])
    /// Anything of so many characters at most.
    case free(atMost: Int)
    case time

    private static let keyScalars = 64

    func fits(_ text: String) -> Bool {
        switch self {
        case .identifier: Name.isIdentifier(text)
        case .key:
            Name.isKey(text)
                && (text.utf8.allSatisfy { (0x20...0x7E).contains($0) } || text.unicodeScalars.count <= Self.keyScalars)
        case .version: text.utf8.count <= 64 && WorkflowVersion(text).isValid && WorkflowVersion(text).description == text
        case .run: RunID(text) != nil
        case .subject: Self.isClean(text) && (1...2_000).contains(text.unicodeScalars.count)
        case .cursor: (1...256).contains(text.utf8.count) && text.utf8.allSatisfy(Self.isCursorByte)
        case .label: Self.label(text) != nil
        case .oneOf(let words): words.contains(text)
        case .free(let limit): text.unicodeScalars.count <= limit && !text.unicodeScalars.contains("\0")
        case .time: (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains(".")))) != nil
        }
    }

    /// What is said to somebody whose text does not fit.
    var wish: String {
        switch self {
        case .identifier: "has to be 1 to 128 letters, digits, '-', '_' and '.'"
        case .key: "has to be 1 to 256 printable ASCII characters, or 1 to 64 others without control characters"
        case .version: "has to be a version: up to 64 letters, digits, '-' and '_' in parts with dots"
        case .run: "has to be the id of a run: 32 hexadecimal digits in groups with hyphens"
        case .subject: "has to be 1 to 2000 characters without control characters"
        case .cursor: "has to be a cursor as the page before has given it"
        case .label: "has to be NAME=VALUE: a name of 1 to 128 letters, digits, '-', '_' and '.', and a value as keys are"
        case .oneOf(let words): "has to be one of: \(words.joined(separator: ", "))"
        case .free(let limit): "has to have at most \(limit) characters, and no NUL"
        case .time: "has to be a time with its zone, such as 2026-01-31T12:00:00Z"
        }
    }

    /// The members of a JSON Schema (draft 2020-12) that say the same.
    var document: JSONObject {
        switch self {
        case .identifier: ["type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"]
        case .key: ["type": "string", "pattern": "^\(Self.keyPattern)$"]
        case .version: ["type": "string", "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$", "maxLength": 64]
        case .run:
            ["type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"]
        case .subject: ["type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,2000}$"]
        case .cursor: ["type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$"]
        case .label: ["type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}=\(Self.keyPattern)$"]
        case .oneOf(let words): ["type": "string", "enum": .array(words.map(JSONValue.string))]
        case .free(let limit): ["type": "string", "pattern": "^[^\\u0000]*$", "maxLength": JSONValue(limit)]
        case .time: ["type": "string", "format": "date-time"]
        }
    }

    private static let keyPattern = "([ -~]{1,256}|[^\\u0000-\\u001f\\u007f-\\u009f]{1,\(keyScalars)})"

    static func label(_ text: String) -> (name: String, value: String)? {
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard halves.count == 2, Name.isIdentifier(halves[0]), TextRule.key.fits(halves[1]) else { return nil }
        return (halves[0], halves[1])
    }

    private static func isClean(_ text: String) -> Bool {
        !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    private static func isCursorByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
