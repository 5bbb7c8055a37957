import Foundation
import Perdure
import PerdureHistory
import Testing

/// The commonest values are read without a decoder. That must not be seen.
@Suite struct PlainValueTests {
    private static let texts = [
        #""""#, #""plain""#, #""grüße 🙂""#, #""a \"quoted\" word""#, #""line\nend""#, #""\u00e9""#, #"""#, #""half"#,
        "\"a\u{1}b\"", "\"a\nb\"",
        "0", "-0", "7", "-7", "07", "123456789012345678", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "1.0",
        "1.5", "1e2", "-", "+1", "", " 1", "1 ", "true", "null", "{}", "{ }", #"{"a":1}"#, "[]",
    ]

    private func same<T: Decodable & Equatable>(_ text: [UInt8], _ type: T.Type) -> Bool {
        let expected = try? JSONDecoder().decode(type, from: Data(text))
        return (try? Payload(bytes: text).decode(type, what: "a value")) == expected
    }

    @Test(arguments: texts) func `a payload decodes as the standard decoder reads it`(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(same(bytes, String.self))
        #expect(same(bytes, Int.self))
        #expect(same(bytes, Nothing.self))
        #expect(same(bytes, Double.self))
        #expect(same(bytes, Int8.self))
    }

    @Test func `text that is not UTF-8 is refused as by the standard decoder`() {
        #expect(same([0x22, 0xFF, 0x22], String.self))
        #expect(same([0x22, 0xC0, 0x80, 0x22], String.self))
    }
}
