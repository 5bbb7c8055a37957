/// A text as the bytes that it is made of: two that only look alike are two, and their order is that of their bytes. Swift's own
/// comparison goes by what people would call the same text.
struct ByteText: Hashable, Comparable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ByteText, right: ByteText) -> Bool {
        left.text == right.text && left.text.utf8.elementsEqual(right.text.utf8)
    }

    // Equal bytes are equal texts, and those hash alike.
    func hash(into hasher: inout Hasher) { hasher.combine(text) }

    static func < (left: ByteText, right: ByteText) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }
}

extension String {
    /// Whether every store can hold it as a text.
    var isStorable: Bool { !utf8.contains(0) }
}
