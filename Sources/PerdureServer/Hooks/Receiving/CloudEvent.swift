internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureHistory

/// An event as CloudEvents 1.0 describe it over HTTP, in its structured or its binary form.
struct CloudEvent: Sendable, Hashable {
    private static let prefix = "ce-", longest = 1_000

    let id: String
    let source: String
    let type: String
    let subject: String?
    let data: JSONValue

    /// - Parameter type: A media type in small letters.
    static func isJSON(_ type: String) -> Bool {
        let name = type.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces)
        return name == "application/json" || name.hasSuffix("+json")
    }

    /// Attributes by their names. What is not known is an extension, and means nothing here.
    ///
    /// - Parameter data: nil for none.
    init(_ attributes: [String: String], data: JSONValue?) throws(Problem) {
        var flaws: [Flaw] = []
        if attributes["specversion"] != "1.0" { flaws.append(Flaw(place: "specversion", wish: "has to be 1.0")) }
        for name in ["id", "source", "type"] where attributes[name]?.isEmpty ?? true {
            flaws.append(Flaw(place: name, wish: "is missing"))
        }
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) where value.utf8.count > Self.longest {
            flaws.append(Flaw(place: String(name.prefix(100)), wish: "has to have at most \(Self.longest) bytes"))
        }
        guard flaws.isEmpty else { throw HookMessage.refused(Array(flaws.prefix(10))) }
        id = attributes["id"] ?? ""
        source = attributes["source"] ?? ""
        type = attributes["type"] ?? ""
        subject = attributes["subject"]
        self.data = data ?? .null
    }

    init(structured json: JSONValue) throws(Problem) {
        guard let object = json.objectValue else {
            throw HookMessage.refused([Flaw(place: "", wish: "has to be an object")])
        }
        guard !object.keys.contains("data_base64") else {
            throw HookMessage.refused([Flaw(place: "data_base64", wish: "is not taken: send 'data' as JSON")])
        }
        var attributes: [String: String] = [:]
        for member in object.members where member.key != "data" {
            guard Self.isName(member.key) else {
                throw HookMessage.refused([
                    Flaw(place: String(member.key.prefix(100)), wish: "cannot be the name of an attribute")
                ])
            }
            // Extensions may be numbers and more.
            if let text = member.value.stringValue {
                attributes[member.key] = text
            } else if ["specversion", "id", "source", "type", "subject"].contains(member.key) {
                throw HookMessage.refused([Flaw(place: member.key, wish: "has to be a text")])
            }
        }
        try self.init(attributes, data: object["data"])
    }

    /// The attributes that stand in headers; nil if it is no event in the binary form.
    static func attributes(of headers: HTTPFields) throws(Problem) -> [String: String]? {
        var attributes: [String: String] = [:]
        for field in headers where field.name.canonicalName.hasPrefix(prefix) {
            let name = String(field.name.canonicalName.dropFirst(prefix.count))
            guard isName(name), attributes[name] == nil, let value = decoded(field.value) else {
                throw HookMessage.refused([Flaw(place: String(field.name.canonicalName.prefix(100)), wish: "cannot be read")])
            }
            attributes[name] = value
        }
        return attributes["specversion"] == nil ? nil : attributes
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
    }

    /// The value of a header: quotes are taken off, and then percent-encoding, once.
    static func decoded(_ text: String) -> String? {
        var text = text.trimmingCharacters(in: .whitespaces)
        if text.utf8.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") {
            var plain = "", isEscaped = false
            for scalar in text.unicodeScalars.dropFirst().dropLast() {
                if scalar == "\\", !isEscaped {
                    isEscaped = true
                    continue
                }
                plain.unicodeScalars.append(scalar)
                isEscaped = false
            }
            text = plain
        }
        return text.removingPercentEncoding
    }
}
