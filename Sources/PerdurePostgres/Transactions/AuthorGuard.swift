/// What the work of a step may not do on the connection that it is lent.
enum AuthorGuard {
    private static let refused: Set<String> = [
        "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE", "EXECUTE", "DEALLOCATE", "SET",
        "RESET", "DISCARD", "LISTEN", "UNLISTEN", "COPY", "DO", "DECLARE", "FETCH", "MOVE", "CLOSE", "LOAD", "CHECKPOINT",
        "VACUUM",
    ]

    /// Why the statement is not sent; nil if it is.
    static func refusal(of sql: String) -> String? {
        var words = SQLWords(sql), before: SQLWords.Word?
        while let word = words.next() {
            let first = word.text.uppercased()
            if before == nil, refused.contains(first) {
                // That is settled before the event is written, whatever was said of it.
                if first == "SET", words.next()?.text.uppercased() == "CONSTRAINTS" { return nil }
                return "a step's work may not do this: \(first)"
            }
            let isSchema = words.isBeforeDot || before?.text.uppercased() == "SCHEMA"
            if isSchema, (word.isQuoted ? word.text : word.text.lowercased()) == Schema.name {
                return "a step's work may not touch the store's own schema '\(Schema.name)'"
            }
            before = word
        }
        return nil
    }
}

/// The words of a statement, without its texts and comments; names in quotes are words too.
struct SQLWords {
    struct Word {
        let text: String
        var isQuoted = false
    }

    private var rest: Substring.UTF8View

    init(_ sql: String) { rest = Substring(sql).utf8 }

    /// Whether what follows the last word belongs to it.
    var isBeforeDot: Bool { rest.first { !Self.isSpace($0) } == UInt8(ascii: ".") }

    mutating func next() -> Word? {
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "'"): skip(through: byte)
            case UInt8(ascii: "\""):
                rest.removeFirst()
                let name = rest.prefix { $0 != UInt8(ascii: "\"") }
                rest = rest.dropFirst(name.count + 1)
                return Word(text: String(Substring(name)), isQuoted: true)
            case UInt8(ascii: "-") where rest.dropFirst().first == byte: rest = rest.drop { $0 != UInt8(ascii: "\n") }
            case UInt8(ascii: "/") where rest.dropFirst().first == UInt8(ascii: "*"): skipComment()
            case UInt8(ascii: "$"): skipDollar()
            case _ where Self.isPartOfWord(byte):
                let word = rest.prefix { Self.isPartOfWord($0) || $0 == UInt8(ascii: "$") }
                rest = rest.dropFirst(word.count)
                if rest.first == UInt8(ascii: "'"), word.elementsEqual("e".utf8) || word.elementsEqual("E".utf8) {
                    skipEscapes()
                } else {
                    return Word(text: String(Substring(word)))
                }
            default: rest.removeFirst()
            }
        }
        return nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (9...13).contains(byte) }

    private static func isPartOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), 128...:
            true
        default: false
        }
    }

    private mutating func skip(through quote: UInt8) {
        rest.removeFirst()
        rest = rest.drop { $0 != quote }.dropFirst()
    }

    /// A text in which a backslash takes the meaning from what follows it.
    private mutating func skipEscapes() {
        rest.removeFirst()
        while let byte = rest.popFirst(), byte != UInt8(ascii: "'") {
            if byte == UInt8(ascii: "\\") { rest = rest.dropFirst() }
        }
    }

    /// Comments of this kind nest.
    private mutating func skipComment() {
        var depth = 0
        while !rest.isEmpty {
            if rest.starts(with: "/*".utf8) {
                depth += 1
                rest = rest.dropFirst(2)
            } else if rest.starts(with: "*/".utf8) {
                depth -= 1
                rest = rest.dropFirst(2)
                if depth == 0 { return }
            } else {
                rest.removeFirst()
            }
        }
    }

    /// A text between dollar signs, or the place of a value.
    private mutating func skipDollar() {
        let tag = rest.dropFirst().prefix(while: Self.isPartOfWord)
        let opening = rest.prefix(tag.count + 2)
        rest = rest.dropFirst(tag.count + 1)
        guard opening.last == UInt8(ascii: "$"), tag.first.map({ !(48...57).contains($0) }) ?? true else { return }
        rest.removeFirst()
        while !rest.isEmpty, !rest.starts(with: opening) { rest.removeFirst() }
        rest = rest.dropFirst(opening.count)
    }
}
