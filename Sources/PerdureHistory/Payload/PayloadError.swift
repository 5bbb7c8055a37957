/// Why a value could not become bytes, or bytes not a value. `what` names the value, like `the input of step "charge"`.
package enum PayloadError: Error, Hashable, Sendable {
    /// The value cannot be written. `path` is like `order.items[2].price`, empty for the value itself.
    case notEncodable(what: String, path: String, reason: String)
    /// The bytes cannot be read as the type `expected`.
    case notDecodable(what: String, path: String, expected: String, reason: String)
    /// The value takes `size` bytes, more than `limit`.
    case tooLarge(what: String, size: Int, limit: Int)
}

extension PayloadError {
    /// What is wrong, as the end of a sentence, for somebody who has just written the value.
    package var fault: String {
        switch self {
        case .notEncodable(_, _, let reason), .notDecodable(_, _, _, let reason): Self.trimmed(reason)
        case .tooLarge(_, let size, let limit): "it takes \(size) bytes, and \(limit) is the most"
        }
    }
}

extension PayloadError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notEncodable(let what, let path, let reason):
            return "Cannot record \(what)\(Self.place(path)): \(Self.trimmed(reason)). "
                + "Change the value or its type so that it encodes to JSON."
        case .notDecodable(let what, let path, let expected, let reason):
            return "Cannot read \(what) as today's type: expected \(expected)\(Self.place(path)), but \(Self.trimmed(reason)). "
                + "Make the type accept what was recorded (an optional or defaulted property), or use a new version."
        case .tooLarge(let what, let size, let limit):
            return "Cannot record \(what): it takes \(size) bytes, the limit is \(limit). "
                + "Keep the data elsewhere and record a reference to it, or raise the limit."
        }
    }

    private static func place(_ path: String) -> String {
        path.isEmpty ? "" : " at \(path)"
    }

    private static func trimmed(_ reason: String) -> String {
        reason.hasSuffix(".") ? String(reason.dropLast()) : reason
    }
}
