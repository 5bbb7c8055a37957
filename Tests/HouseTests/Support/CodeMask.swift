/// Blanks out comments and string literals, so that braces and words in them do not count as code. Knows nested comments, raw and
/// multi-line strings, interpolations, patterns between slashes and names between backticks; lines stay where they
/// are.
struct CodeMask {
    private let input: [UInt8]
    private var output: [UInt8] = []
    private var index = 0

    private init(_ text: String) {
        input = Array(text.utf8)
        output.reserveCapacity(input.count)
    }

    static func mask(_ text: String) -> String {
        var mask = CodeMask(text)
        while mask.index < mask.input.count { mask.step() }
        return String(decoding: mask.output, as: UTF8.self)
    }

    private func starts(with text: StaticString, at place: Int) -> Bool {
        text.withUTF8Buffer { wanted in
            place + wanted.count <= input.count && wanted.indices.allSatisfy { input[place + $0] == wanted[$0] }
        }
    }

    /// Keeps one byte.
    private mutating func keep() {
        output.append(input[index])
        index += 1
    }

    /// Blanks out so many bytes, but for line ends.
    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where index < input.count {
            output.append(input[index] == UInt8(ascii: "\n") ? input[index] : UInt8(ascii: " "))
            index += 1
        }
    }

    private mutating func step() {
        if starts(with: "//", at: index) {
            while index < input.count, input[index] != UInt8(ascii: "\n") { blank() }
        } else if starts(with: "/*", at: index) {
            comment()
        } else if starts(with: "#/", at: index) {
            pattern(closing: "/#")
        } else if beginsBarePattern {
            pattern(closing: "/")
        } else if input[index] == UInt8(ascii: "`") {
            name()
        } else if let pounds = poundsOfString() {
            string(pounds)
        } else {
            keep()
        }
    }

    private mutating func pattern(closing end: StaticString) {
        blank(end.utf8CodeUnitCount)
        while index < input.count, !starts(with: end, at: index) { blank(input[index] == UInt8(ascii: "\\") ? 2 : 1) }
        blank(end.utf8CodeUnitCount)
    }

    /// Whether a pattern between single slashes begins here: where a value may stand, and with an end on the same line.
    private var beginsBarePattern: Bool {
        guard input[index] == UInt8(ascii: "/"), index + 1 < input.count, input[index + 1] != UInt8(ascii: " "),
            let before = output.last(where: { $0 != UInt8(ascii: " ") }), "(,=:[{".utf8.contains(before)
        else { return false }
        return input[(index + 1)...].prefix { $0 != UInt8(ascii: "\n") }.contains(UInt8(ascii: "/"))
    }

    /// A name between backticks may be a whole sentence.
    private mutating func name() {
        blank()
        while index < input.count, input[index] != UInt8(ascii: "`"), input[index] != UInt8(ascii: "\n") { blank() }
        blank()
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if starts(with: "/*", at: index) {
                depth += 1
                blank(2)
            } else if starts(with: "*/", at: index) {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && index < input.count
    }

    /// How many `#` stand before a string that begins here; nil if none begins.
    private func poundsOfString() -> Int? {
        var place = index
        while place < input.count, input[place] == UInt8(ascii: "#") { place += 1 }
        return place < input.count && input[place] == UInt8(ascii: "\"") ? place - index : nil
    }

    private func pounds(_ count: Int, at place: Int) -> Bool {
        place + count <= input.count && (0..<count).allSatisfy { input[place + $0] == UInt8(ascii: "#") }
    }

    private mutating func string(_ count: Int) {
        blank(count)
        let isLong = starts(with: "\"\"\"", at: index)
        let quotes = isLong ? 3 : 1
        blank(quotes)
        while index < input.count {
            if input[index] == UInt8(ascii: "\\"), pounds(count, at: index + 1) {
                blank(1 + count)
                if index < input.count, input[index] == UInt8(ascii: "(") { interpolation() } else { blank() }
            } else if isLong ? starts(with: "\"\"\"", at: index) : input[index] == UInt8(ascii: "\""),
                pounds(count, at: index + quotes)
            {
                return blank(quotes + count)
            } else if !isLong, input[index] == UInt8(ascii: "\n") {
                return
            } else {
                blank()
            }
        }
    }

    /// What stands in an interpolation is left out too: no rule looks for it there.
    private mutating func interpolation() {
        var depth = 0
        repeat {
            if let count = poundsOfString() {
                string(count)
                continue
            }
            if input[index] == UInt8(ascii: "(") { depth += 1 }
            if input[index] == UInt8(ascii: ")") { depth -= 1 }
            blank()
        } while depth > 0 && index < input.count
    }
}
