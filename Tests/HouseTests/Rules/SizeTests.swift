import Testing

/// Files and functions stay short enough to be read in one go.
@Suite struct SizeTests {
    private static let fileLimit = 600
    private static let functionLimit = 70

    @Test("no file is longer than 600 lines")
    func files() {
        expectNone(
            Repository.swiftFiles.filter { $0.lines.count > Self.fileLimit }.map { "\($0.path): \($0.lines.count) lines" },
            "split these files by aspect (Type+Aspect.swift)")
    }

    @Test("files above 300 lines are few")
    func longFiles() {
        // The last line is empty.
        let long = Repository.sources.filter { $0.lines.count > 301 }.map { "\($0.path): \($0.lines.count - 1) lines" }
        #expect(long.count <= Repository.sources.count / 20, "split some of these: \(long.joined(separator: ", "))")
    }

    @Test("no function is longer than 70 lines")
    func functions() {
        let long = Repository.swiftFiles.flatMap { file in
            FunctionFinder.functions(in: file.code).filter { $0.length > Self.functionLimit }
                .map { "\(file.path):\($0.line): \($0.length) lines" }
        }
        expectNone(long, "split these functions")
    }

    @Test("no line of a comment is longer than 140 columns")
    func comments() {
        // Compiler messages that are compared stand in one line.
        let files = Repository.swiftFiles.filter { !$0.path.contains("/MustNotCompile/") }
        let long = files.flatMap { file in
            file.lines.enumerated().filter { $0.element.count > 140 && $0.element.drop { $0 == " " }.hasPrefix("//") }
                .map { "\(file.path):\($0.offset + 1)" }
        }
        expectNone(long, "break these lines")
    }

    @Test("the brackets of every file are counted right")
    func brackets() {
        // What the length of functions rests on: if a mask went wrong, the brackets would not add up.
        let wrong = Repository.swiftFiles.filter { file in
            var braces = 0, parentheses = 0
            for byte in file.code.joined().utf8 {
                switch byte {
                case UInt8(ascii: "{"): braces += 1
                case UInt8(ascii: "}"): braces -= 1
                case UInt8(ascii: "("): parentheses += 1
                case UInt8(ascii: ")"): parentheses -= 1
                default: break
                }
            }
            return braces != 0 || parentheses != 0
        }
        expectNone(wrong.map(\.path), "the scanner of these tests does not understand these files")
    }

    @Test("the scanner sees through strings and comments")
    func scanner() {
        let text = """
            func a() {  // {
                let x = "{ \\("}" + String(1)) {"
                /* { /* { */ */
                let y = #"{"\\(#"#
                let z = \"""
                    {{{ "
                    \"""
            }
            protocol P { func b() -> Int; var c: Int { get } }
            """
        let spans = FunctionFinder.functions(in: SourceFile(path: "a.swift", text: text).code)
        #expect(spans.map(\.line) == [1, 9])
        #expect(spans.map(\.length) == [8, 1])
    }
}
