import PerdureHistory
import Testing

@Suite struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONValue.parse(Array(text.utf8))
    }

    @Test(
        "numbers keep every digit",
        arguments: [
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("18446744073709551615", .unsigned(.max)), ("9007199254740993", .integer(9_007_199_254_740_993)),
            ("0", 0), ("-0", 0), ("1.5", 1.5), ("1.0", 1.0), ("1e3", 1000.0), ("-2E-2", -0.02),
        ] as [(String, JSONValue)])
    func numbers(_ text: String, _ value: JSONValue) throws {
        #expect(try parse(text) == value)
    }

    @Test(
        "numbers that no double holds keep their digits in canonical form",
        arguments: [
            ("0.12345678901234567890123", "0.12345678901234567890123"),
            ("123456789012345678901234567890.120", "1.2345678901234567890123456789012e+29"),
            ("18446744073709551616123", "1.8446744073709551616123e+22"),
            ("-36893488147419103233", "-36893488147419103233"),
            ("1e400", "1e+400"), ("-1.50e-400", "-1.5e-400"), ("0e999", "0"),
        ])
    func decimals(_ text: String, _ canonical: String) throws {
        #expect(try parse(text).canonicalText == canonical)
        #expect(try parse(canonical).canonicalText == canonical)
    }

    @Test("escapes and surrogate pairs are read")
    func strings() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é""#) == "\"\\/\u{8}\u{C}\n\r\té😀é")
        #expect(try parse(" [ \"\" , {\"a\" : [ ] } ]\n") == ["", ["a": []]])
    }

    @Test(
        "bad text is an error that says where",
        arguments: [
            "", " ", "nul", "tru", "[", "[1", "[1,", "[1,]", "[,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1,}", "{a:1}", "{1:2}",
            "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "--1", "1 2", "\"", "\"\\", "\"\\x\"",
            "\"\\u12\"",
            "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "\"a\nb\"", "1e99999999999999999999", "[1}", "{\"a\":1]",
        ])
    func bad(_ text: String) throws {
        let error = try #require(throws: PayloadError.self) { try parse(text) }
        #expect(error.description.contains("at byte"))
    }

    @Test("bytes that are not UTF-8 are an error", arguments: [[0x22, 0xFF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0xEF]])
    func notUTF8(_ bytes: [UInt8]) {
        #expect(throws: PayloadError.self) { try JSONValue.parse(bytes) }
    }

    @Test("nesting is read to its bound, and beyond it is an error and no crash")
    func depth() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(String(repeating: "[", count: depth).utf8) + Array(String(repeating: "]", count: depth).utf8)
        }
        let deepest = nested(JSONValue.maximumDepth)
        #expect(try JSONValue.parse(deepest).canonicalBytes == deepest)
        #expect(throws: PayloadError.self) { try JSONValue.parse(nested(JSONValue.maximumDepth + 1)) }
        #expect(throws: PayloadError.self) { try JSONValue.parse(nested(1_000_000)) }
        #expect(throws: PayloadError.self) {
            try JSONValue.parse(Array(String(repeating: "{\"a\":", count: 1_000_000).utf8))
        }
    }

    @Test("random damage to a text gives a value or an error, never a crash")
    func fuzz() {
        var random = SeededGenerator.announced()
        for _ in 0..<5000 {
            var bytes = random.json().canonicalBytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0...bytes.count, using: &random)
                if index < bytes.count, Bool.random(using: &random) {
                    bytes[index] = UInt8.random(in: 0...255, using: &random)
                } else {
                    bytes.insert(contentsOf: [UInt8](bytes[..<index].suffix(3)), at: index)
                }
            }
            guard let value = try? JSONValue.parse(bytes) else { continue }
            let canonical = value.canonicalBytes
            #expect((try? JSONValue.parse(canonical))?.canonicalBytes == canonical)
        }
    }
}
