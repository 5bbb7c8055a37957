/// The small JSON object beside an event, kept as the canonical text that is stored and hashed.
///
/// It stays text so that what was hashed is what is shown, and replay parses nothing it does not need.
package struct Attributes: Hashable, Sendable {
    /// The canonical text as stored; empty for an object without members.
    package let text: String

    /// Attributes as read from a store. The text is not looked at before ``object()``.
    package init(storedText: String) {
        text = storedText
    }

    package init(_ object: JSONObject) {
        text = object.isEmpty ? "" : JSONValue.object(object).canonicalText
    }

    /// No attributes.
    package static let none = Attributes(storedText: "")

    package var isEmpty: Bool { text.isEmpty }

    /// Attributes of the given members; those without a value are left out. A JSON null must be given as `.null`.
    package static func make(_ members: (String, JSONValue?)...) -> Attributes {
        var object = JSONObject()
        for case (let key, let value?) in members {
            object[key] = value
        }
        return Attributes(object)
    }

    /// The members, parsed now.
    /// - Throws: ``PayloadError/notDecodable(what:path:expected:reason:)`` if the stored text is not a JSON object.
    package func object() throws(PayloadError) -> JSONObject {
        guard !text.isEmpty else { return JSONObject() }
        let value = try JSONValue.parse(Array(text.utf8), what: "the attributes of an event")
        guard case .object(let object) = value else {
            throw .notDecodable(
                what: "the attributes of an event", path: "", expected: "an object", reason: "found \(value.shortText)")
        }
        return object
    }

    // Two texts are the same attributes only if their bytes are: String's own == also joins canonically equivalent texts,
    // whose hashes differ.
    package static func == (left: Attributes, right: Attributes) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}

extension Attributes: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(JSONObject(elements))
    }
}

extension Attributes: CustomStringConvertible {
    package var description: String { text.isEmpty ? "{}" : text }
}
