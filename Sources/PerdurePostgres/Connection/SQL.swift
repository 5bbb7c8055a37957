internal import Synchronization

/// The text of a statement, with the slot under which every link keeps its prepared form.
///
/// Always a `static let`: one slot for each text, found without hashing the text, and a server that is asked to keep as many
/// statements as there are texts.
struct SQL: Sendable {
    private static let slots = Atomic<Int>(0)

    let text: String
    let slot: Int
    /// Whether it changes nothing, judged by its words: then nothing is lost with its answer. What calls a function that writes is taken
    /// for a read.
    let isRead: Bool

    init(_ text: String) {
        self.text = text
        slot = Self.slots.wrappingAdd(1, ordering: .relaxed).oldValue
        isRead = Self.isRead(text)
    }

    /// The name of the prepared statement.
    var name: String { "p\(slot)" }

    private static func isRead(_ text: String) -> Bool {
        let words = text.uppercased().split { !$0.isLetter }
        return switch words.first {
        case "SELECT", "VALUES", "TABLE", "SHOW": true
        case "WITH": !words.contains { ["INSERT", "UPDATE", "DELETE", "MERGE"].contains($0) }
        default: false
        }
    }
}
