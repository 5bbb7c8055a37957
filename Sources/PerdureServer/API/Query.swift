internal import Foundation
internal import HTTPTypes
internal import PerdureHistory

/// One that may stand in the query of an address.
struct Parameter: Sendable, Hashable {
    let name: String
    let schema: Schema
    let about: String
    /// May stand there several times.
    var repeats = false
}

/// The query of an address, read strictly: what is not known, stands there twice or cannot be is refused, not passed over.
struct Query: Sendable {
    private var values: [String: [JSONValue]] = [:]

    /// - Throws: `Problem` with 400.
    init(_ text: String?, _ parameters: [Parameter]) throws(Problem) {
        var flaws: [Flaw] = []
        for part in (text ?? "").split(separator: "&", omittingEmptySubsequences: true) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count == 2 ? halves[1] : "") else {
                flaws.append(Flaw(place: String(part.prefix(100)), wish: "is not percent-encoded UTF-8"))
                continue
            }
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                let known = parameters.isEmpty ? "none" : parameters.map(\.name).joined(separator: ", ")
                flaws.append(Flaw(place: String(name.prefix(100)), wish: "is not known here; known: \(known)"))
                continue
            }
            guard parameter.repeats || values[name] == nil else {
                flaws.append(Flaw(place: name, wish: "stands there twice"))
                continue
            }
            guard (values[name]?.count ?? 0) < 32, let read = Self.read(value, parameter.schema) else {
                flaws.append(Flaw(place: name, wish: Self.wish(parameter.schema)))
                continue
            }
            values[name, default: []].append(read)
        }
        if !flaws.isEmpty {
            throw Problem(.badRequest, "query_invalid", Self.sentence(flaws), flaws: Array(flaws.prefix(10)))
        }
    }

    func text(_ name: String) -> String? { values[name]?.first?.stringValue }
    func texts(_ name: String) -> [String] { values[name]?.compactMap(\.stringValue) ?? [] }
    func integer(_ name: String) -> Int64? { values[name]?.first?.integerValue }

    private static func sentence(_ flaws: [Flaw]) -> String {
        "The query of the address cannot be read: " + flaws.prefix(3).map { "'\($0.place)' \($0.wish)" }.joined(separator: "; ")
            + "."
    }

    private static func read(_ text: String, _ schema: Schema) -> JSONValue? {
        let value: JSONValue? =
            switch schema {
            case .integer: Int64(text).flatMap { String($0) == text ? .integer($0) : nil }
            default: .string(text)
            }
        return value.flatMap { schema.flaws(in: $0).isEmpty ? $0 : nil }
    }

    private static func wish(_ schema: Schema) -> String {
        switch schema {
        case .integer(let range): "has to be a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .text(let rule): rule.wish
        default: "cannot be read"
        }
    }

    /// Percent-encoded text; nil for what is not UTF-8. A plus sign is one.
    static func decoded(_ text: some StringProtocol) -> String? { String(text).removingPercentEncoding }
}
