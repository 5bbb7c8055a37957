import Foundation

/// JSON as the peer reads and writes it: sorted members, errors as problems.
enum JSON {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Decodes a value.
    ///
    /// - Throws: 400 if the text is no JSON, 422 if it is and does not say what is needed.
    static func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch let error as DecodingError {
            throw problem(error, in: text)
        }
    }

    private static func problem(_ error: DecodingError, in text: String) -> Problem {
        switch error {
        case .keyNotFound(let key, _):
            .unprocessable("\"\(key.stringValue)\" is missing")
        case .typeMismatch(let type, let context):
            .unprocessable("\(place(context)) must be \(name(of: type))")
        case .valueNotFound(let type, let context):
            .unprocessable("\(place(context)) is null and must be \(name(of: type))")
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            .unprocessable("\(place(context)) has a value that is not allowed")
        default:
            // The decoder gives no place for a number that does not fit, nor for text that is not JSON at all.
            isJSON(text) ? .unprocessable("a number does not fit its field") : .malformed("the body is not JSON")
        }
    }

    private static func isJSON(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) != nil
    }

    private static func place(_ context: DecodingError.Context) -> String {
        context.codingPath.isEmpty ? "the body" : "\"" + context.codingPath.map(\.stringValue).joined(separator: ".") + "\""
    }

    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Int.Type: "a whole number"
        case is Bool.Type: "true or false"
        default: "an object"
        }
    }
}
