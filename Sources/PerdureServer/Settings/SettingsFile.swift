internal import Foundation
internal import Perdure
internal import PerdureHistory

/// What stands in the file with the settings, and on which lines. Whatever does not belong there is refused.
struct SettingsFile: Sendable {
    let path: String
    let bytes: [UInt8]
    /// The lines on which the keys stand, with dots.
    let lines: [String: Int]

    /// - Throws: `PerdureError` with `configuration_invalid`.
    init(_ path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw PerdureError(
                .configurationInvalid, "The file '\(path)' cannot be read. Name another one with \(Setting.fileFlag), or none.",
                metadata: [("source", path)])
        }
        try self.init(path, Array(data))
    }

    init(_ path: String, _ bytes: [UInt8]) throws {
        self.path = path
        self.bytes = bytes
        let content: JSONValue
        do {
            content = try JSONValue.parse(bytes, what: path)
        } catch {
            guard case .notDecodable(_, _, _, let reason) = error else { throw error }
            throw PerdureError(
                .configurationInvalid, "The file '\(path)' is not JSON: \(reason).", metadata: [("source", path)])
        }
        var finder = KeyLines(bytes)
        finder.find()
        lines = finder.lines
        if let twice = finder.repeated { throw refused(twice, "stands there twice; leave one") }
        guard case .object(let object) = content else {
            throw PerdureError(
                .configurationInvalid, "The file '\(path)' has to hold an object, such as {\"store\": \"perdure.db\"}.",
                metadata: [("source", path)])
        }
        try check(object, [])
    }

    private func check(_ object: JSONObject, _ path: [String]) throws {
        for member in object.members {
            let path = path + [member.key], key = path.joined(separator: ".")
            if let setting = Setting.all.first(where: { $0.path == path }) {
                guard setting.takes(member.value) else {
                    throw refused(key, "has to be \(setting.expectation), and is \(Self.kind(member.value))")
                }
            } else if Setting.all.contains(where: { $0.path.starts(with: path) }) {
                guard case .object(let inner) = member.value else {
                    throw refused(key, "has to be an object, and is \(Self.kind(member.value))")
                }
                try check(inner, path)
            } else {
                let near = Setting.all.map(\.key).min { Self.distance($0, key) < Self.distance($1, key) } ?? ""
                throw refused(key, "is not known. Did you mean '\(near)'? All that are stand in docs/configuration.md")
            }
        }
    }

    private func refused(_ key: String, _ what: String) -> PerdureError {
        let key = key.count > 100 ? String(key.prefix(100)) + "…" : key
        let place = lines[key].map { "\(path):\($0)" } ?? path
        return PerdureError(
            .configurationInvalid, "\(place): '\(key)' \(what).", metadata: [("key", key), ("source", place)])
    }

    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .unsigned, .number, .decimal: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// How many bytes have to be changed, put in or left out to make one of the other.
    private static func distance(_ one: String, _ other: String) -> Int {
        let one = Array(one.utf8), other = Array(other.utf8.prefix(200))
        var row = Array(0...other.count)
        for (index, byte) in one.enumerated() {
            var corner = row[0]
            row[0] = index + 1
            for (place, otherByte) in other.enumerated() {
                let best = byte == otherByte ? corner : min(corner, row[place], row[place + 1]) + 1
                corner = row[place + 1]
                row[place + 1] = best
            }
        }
        return row.last ?? 0
    }
}

extension Setting {
    /// Whether a value of the file has the right type. The library takes some for others, such as 1 for true.
    fileprivate func takes(_ value: JSONValue) -> Bool {
        switch (kind, value) {
        case (.text, .string), (.span, .string), (.word, .string), (.number, .integer), (.yesOrNo, .bool): true
        case (.names, .array(let values)): values.allSatisfy { $0.stringValue != nil }
        default: false
        }
    }
}

/// Finds out on which lines of a JSON text the keys of its objects stand. The text has been read already, so it is one.
private struct KeyLines {
    private enum Frame { case object, array }

    private let bytes: [UInt8]
    private(set) var lines: [String: Int] = [:]
    private(set) var repeated: String?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func find() {
        var line = 1, index = 0, isKey = false
        var frames: [Frame] = [], path: [String] = []
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: "{"):
                frames.append(.object)
                path.append("")
                isKey = true
            case UInt8(ascii: "["):
                frames.append(.array)
                isKey = false
            case UInt8(ascii: "}"):
                frames.removeLast()
                path.removeLast()
            case UInt8(ascii: "]"): frames.removeLast()
            case UInt8(ascii: ","): isKey = frames.last == .object
            case UInt8(ascii: "\""):
                let text = string(&index)
                guard isKey, !frames.contains(.array) else { break }
                path[path.count - 1] = text
                note(path.joined(separator: "."), line)
                isKey = false
            default: break
            }
            index += 1
        }
    }

    private mutating func note(_ key: String, _ line: Int) {
        if lines.updateValue(line, forKey: key) != nil { repeated = repeated ?? key }
    }

    /// The text that begins here; ends at its last quote.
    private func string(_ index: inout Int) -> String {
        let start = index + 1
        index = start
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") { index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1 }
        return String(decoding: bytes[start..<min(index, bytes.count)], as: UTF8.self)
    }
}
