internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// The fields of a form, or the query of an address that a form has made. What is empty is as if it were not there.
struct Fields: Sendable {
    private var values: [String: [String]] = [:]

    private static let mostFields = 200

    /// - Throws: `Problem` with 400 for what is not percent-encoded UTF-8.
    init(_ text: String) throws(Problem) {
        for part in text.split(separator: "&", maxSplits: Self.mostFields).prefix(Self.mostFields) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count == 2 ? halves[1] : "") else {
                throw Problem(.badRequest, "form_invalid", "What was sent is not percent-encoded UTF-8.")
            }
            if !value.isEmpty { values[name, default: []].append(value) }
        }
    }

    subscript(name: String) -> String? { values[name]?.first }
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// - Throws: `Problem` with 400 if it is missing.
    func required(_ name: String) throws(Problem) -> String {
        guard let value = self[name] else {
            throw Problem(.badRequest, "form_invalid", "'\(name)' is missing.", flaws: [Flaw(place: name, wish: "is missing")])
        }
        return value
    }

    /// Of several lines as browsers send them.
    func text(_ name: String) -> String? { self[name]?.replacing("\r\n", with: "\n") }

    private static func decoded(_ text: Substring) -> String? { text.replacing("+", with: " ").removingPercentEncoding }
}
