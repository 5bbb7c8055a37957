import Foundation

/// The rules for names that authors and callers choose. They keep subjects readable and unambiguous in history:
/// `/` separates scopes, `[…]` holds an id, `#` counts occurrences.
package enum Name {
    /// A workflow, namespace or signal name: it also appears in addresses and commands.
    package static func isIdentifier(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count) && name.utf8.allSatisfy { isWordByte($0) || $0 == UInt8(ascii: ".") }
    }

    /// The name of a step, timer, scope or question: readable text without the characters that subjects are built with.
    package static func isOperationName(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count) && isClean(name)
            && !name.utf8.contains(where: isStructural)
    }

    /// An `id:`, a workflow key or a business key: any text of 1 to 256 bytes without control characters.
    package static func isKey(_ key: String) -> Bool { (1...256).contains(key.utf8.count) && isClean(key) }

    /// The form in which names and keys are compared and stored (Unicode NFC).
    package static func normalized(_ name: String) -> String {
        name.utf8.allSatisfy { $0 < 0x80 } ? name : name.precomposedStringWithCanonicalMapping
    }

    /// The name in a subject: what stands after the scope and before the id and the occurrence.
    package static func ofOperation(_ subject: String) -> String {
        // By scalars: a mark behind a '/' makes one character with it.
        let scalars = subject.unicodeScalars
        let name = scalars.lastIndex(of: "/").map { scalars[scalars.index(after: $0)...] } ?? scalars[...]
        return String(name.prefix { $0 != "[" && $0 != "#" })
    }

    /// What a subject has in common with every other use of its name: scopes and name, without ids and occurrences.
    package static func ofPlace(_ subject: String) -> String {
        subject.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false)
            .map { String($0.prefix { $0 != "[" && $0 != "#" }) }.joined(separator: "/")
    }

    /// Whether subjects are built with it.
    private static func isStructural(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "#"), UInt8(ascii: "["), UInt8(ascii: "]"): true
        default: false
        }
    }

    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isClean(_ text: String) -> Bool {
        isPlain(text) || !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    /// Printable ASCII, which most names are, needs no tables: it is clean, and its own normal form.
    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x20...0x7E).contains($0) } }
}
