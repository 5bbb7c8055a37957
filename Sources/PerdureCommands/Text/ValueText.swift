internal import Perdure
internal import PerdureEngine
package import PerdureHistory

/// Recorded values on one line.
package enum ValueText {
    package static func json(_ value: StoredValue?) -> JSONValue? {
        switch value {
        case nil: nil
        case .inline(let bytes):
            (try? JSONValue.parse(bytes, what: "a value")) ?? .string("\(bytes.count) bytes that are not JSON")
        case .spilled(let digest, let size): ["digest": .string(Hex.encode(digest)), "size": .integer(size)]
        }
    }

    package static func short(_ value: StoredValue?, limit: Int = 60) -> String? {
        switch value {
        case nil: nil
        case .spilled(_, let size): "(\(size) bytes)"
        case .inline: json(value).map { $0.shortText(limit: limit).shortened(to: limit) }
        }
    }

    /// A result that says something; `{}` is what a step without a result records.
    static func result(_ value: StoredValue?) -> String? {
        guard let text = short(value), text != "{}" else { return nil }
        return text
    }

    static func who(_ attributes: JSONObject) -> String { RunExplanation.name(attributes["by"]) ?? "somebody" }

    static func time(_ attributes: JSONObject, _ key: String) -> Timestamp? {
        attributes[key]?.integerValue.map(Timestamp.init(microseconds:))
    }
}

/// Command lines that texts suggest, quoted so that they can be copied.
package enum CommandText {
    package static func line(_ program: String, _ words: [String]) -> String {
        ([program] + words.map(quoted)).joined(separator: " ")
    }

    static func quoted(_ word: String) -> String {
        let safe =
            !word.isEmpty
            && word.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_./:@%+=,".utf8.contains(byte)
            }
        return safe ? word : "'\(word.replacing("'", with: "'\\''"))'"
    }
}
