extension PayloadError {
    /// The error of an encoder, with its coding path.
    init(encoding what: String, _ error: any Error) {
        switch error {
        case let error as PayloadError:
            self = error
        case EncodingError.invalidValue(_, let context):
            self = .notEncodable(what: what, path: context.codingPath.text, reason: context.debugDescription)
        default:
            self = .notEncodable(what: what, path: "", reason: "its encode(to:) threw \(error)")
        }
    }

    /// The error of a decoder, with its coding path. `expected` names the type asked for, unless the error knows better.
    init(decoding what: String, expected: String, _ error: any Error) {
        func failure(_ context: DecodingError.Context, _ expected: String) -> PayloadError {
            .notDecodable(
                what: what, path: context.codingPath.text, expected: expected, reason: Self.clause(context.debugDescription))
        }
        switch error {
        case let error as PayloadError:
            self = error
        case DecodingError.typeMismatch(let type, let context):
            self = failure(context, "\(type)")
        case DecodingError.valueNotFound(let type, let context):
            self = failure(context, "\(type)")
        case DecodingError.keyNotFound(let key, let context):
            let reason = "there is no such member"
            let path = (context.codingPath + [key]).text
            self = .notDecodable(what: what, path: path, expected: "a value", reason: reason)
        case DecodingError.dataCorrupted(let context):
            self = failure(context, expected)
        default:
            self = .notDecodable(what: what, path: "", expected: expected, reason: "its init(from:) threw \(error)")
        }
    }

    /// A debug description as the rest of a sentence.
    private static func clause(_ text: String) -> String {
        text.isEmpty ? "the data does not fit" : "the decoder says: \(text)"
    }
}
