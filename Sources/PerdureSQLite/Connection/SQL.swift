internal import Synchronization

/// The text of a statement, with the slot under which every connection keeps its prepared form.
///
/// Always a `static let`: one slot for each text, found without hashing the text.
struct SQL: Sendable {
    private static let slots = Atomic<Int>(0)

    let text: String
    let slot: Int

    init(_ text: String) {
        self.text = text
        slot = Self.slots.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}
