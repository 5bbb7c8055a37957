package import Perdure
package import PerdureHistory

/// Names and values that runs are found by.
package struct Labels: Sendable, Hashable {
    /// How many a run may be given at once.
    package static let limit = 32

    /// By name.
    package let values: [String: String]

    /// - Throws: `PerdureError` with `label_invalid`.
    package init(_ values: [String: String]) throws(PerdureError) {
        guard values.count <= Self.limit else {
            throw PerdureError(.labelInvalid, "\(values.count) labels at once are too many: use at most \(Self.limit).")
        }
        var normalized: [String: String] = [:]
        for (name, value) in values {
            guard Name.isIdentifier(name) else {
                throw PerdureError(
                    .labelInvalid, "'\(name)' cannot be a label's name: use 1 to 128 letters, digits, '-', '_' and '.'.")
            }
            let value = Name.normalized(value)
            guard Name.isKey(value) else {
                throw PerdureError(
                    .labelInvalid,
                    "The value of label '\(name)' cannot be recorded: use 1 to 256 bytes of text without control characters.")
            }
            normalized[name] = value
        }
        self.values = normalized
    }

    package var json: JSONValue {
        .object(JSONObject(values.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }))
    }
}
