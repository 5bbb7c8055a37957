internal import Foundation
internal import HTTPTypes
internal import PerdureHistory

/// Where the next page of a list begins: behind a number that never changes, so that pages do not shift while others write. Bound to what
/// was asked, so that it is not taken for a place in another list.
struct Cursor: Sendable, Hashable {
    let last: Int64
    private let question: String

    /// - Parameter question: What was asked but for the page: the operation, the namespace and the filters.
    init(after last: Int64, of question: [String]) {
        self.last = last
        self.question = Self.digest(question)
    }

    /// - Throws: `Problem` with 400 for what no page of this list has given.
    init(_ text: String, of question: [String]) throws(Problem) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let last = Int64(parts[0], radix: 36), last >= 0, parts[1] == Self.digest(question) else {
            throw Problem(
                .badRequest, "cursor_invalid",
                "The cursor is not of this list: take it from the page before, and change nothing else in the address.",
                flaws: [Flaw(place: "cursor", wish: TextRule.cursor.wish)])
        }
        self.last = last
        self.question = String(parts[1])
    }

    var text: String { "\(String(last, radix: 36))-\(question)" }

    private static func digest(_ question: [String]) -> String {
        let bytes = question.flatMap { part in Array("\(part.utf8.count):".utf8) + Array(part.utf8) }
        return Hex.encode(SaltedDigest.plain(bytes).prefix(6))
    }
}
