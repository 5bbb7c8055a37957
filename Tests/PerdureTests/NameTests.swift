import Perdure
import Testing

@Suite struct NameTests {
    @Test("An identifier is 1 to 128 letters, digits, hyphens, underscores and dots")
    func identifiers() {
        for name in ["a", "rotate-secret", "A.b_c-9", String(repeating: "a", count: 128)] {
            #expect(Name.isIdentifier(name), "\(name)")
        }
        for name in ["", "a b", "a/b", "é", "a\0", "a\n", String(repeating: "a", count: 129)] {
            #expect(!Name.isIdentifier(name), "\(name)")
        }
    }

    @Test("An operation's name is any readable text without the characters that subjects are built with")
    func operationNames() {
        for name in ["issue key", "Schlüssel", "鍵", "a.b-c", "👩‍👩‍👧", String(repeating: "é", count: 64)] {
            #expect(Name.isOperationName(name), "\(name)")
        }
        for name in ["", "a/b", "a#1", "a[1]", "]", "a\0b", "a\tb", "a\u{7f}", "a\u{85}", String(repeating: "é", count: 65)] {
            #expect(!Name.isOperationName(name), "\(name.debugDescription)")
        }
    }

    @Test("A key is 1 to 256 bytes without control characters")
    func keys() {
        for key in ["order 7", "a/b#[1]", String(repeating: "k", count: 256)] { #expect(Name.isKey(key), "\(key)") }
        for key in ["", "a\u{1b}[0m", "\u{9b}", String(repeating: "k", count: 257)] {
            #expect(!Name.isKey(key), "\(key.debugDescription)")
        }
    }

    @Test("Names are compared in the form NFC, byte for byte")
    func normalized() {
        #expect(Array(Name.normalized("e\u{301}").utf8) == Array("\u{e9}".utf8))
        #expect(Array(Name.normalized("\u{212b}").utf8) == Array("\u{c5}".utf8))
        #expect(Array(Name.normalized("\u{1100}\u{1161}").utf8) == Array("\u{ac00}".utf8))
        for name in ["plain", "", "鍵", "\u{e9}"] { #expect(Array(Name.normalized(name).utf8) == Array(name.utf8)) }
    }
}
