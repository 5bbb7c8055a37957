/// A JSON value that keeps integers exact.
///
/// Two values that differ only in the case used for one number (`.integer(1)`, `.number(1)`) are not `==`, but have the same
/// ``canonicalBytes``; compare those where meaning counts.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// An integer above `Int64.max`; smaller ones are `.integer`, as `init` sees to.
    case unsigned(UInt64)
    /// A finite number. Not-a-number and infinities never get here; written all the same, they become null.
    case number(Double)
    /// A number with more digits than a `Double` holds, in canonical form; made by ``DecimalText`` only.
    case decimal(DecimalText)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// How deep arrays and objects may nest, for parsing and encoding alike: deeper data is an error, not a stack overflow.
    package static let maximumDepth = 256
}

extension JSONValue {
    /// The integer in its one form: `.integer` wherever it fits.
    package init(_ value: UInt64) {
        self = Int64(exactly: value).map(JSONValue.integer) ?? .unsigned(value)
    }

    package init(_ value: Int) {
        self = .integer(Int64(value))
    }
}

extension JSONValue {
    package var stringValue: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    package var boolValue: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The value if it is an integer in the range of `Int64`, however it was written.
    package var integerValue: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    package var arrayValue: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    package var objectValue: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }

    /// The member of an object; nil if there is none or this is no object.
    package subscript(key: String) -> JSONValue? {
        objectValue?[key]
    }
}

// Not by nil: `object["key"] == nil` would then ask whether the member is a JSON null, and be false where there is none.
extension JSONValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) {
        self = .string(value)
    }

    package init(integerLiteral value: Int64) {
        self = .integer(value)
    }

    package init(booleanLiteral value: Bool) {
        self = .bool(value)
    }

    package init(floatLiteral value: Double) {
        self = .number(value)
    }

    package init(arrayLiteral elements: JSONValue...) {
        self = .array(elements)
    }

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements))
    }
}
