import PerdureHistory
import Testing

@Suite struct CanonicalTextTests {
    @Test(
        "doubles are written as in RFC 8785, appendix B",
        arguments: [
            (0x0000_0000_0000_0000, "0"), (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"), (0x8000_0000_0000_0001, "-5e-324"),
            (0x7FEF_FFFF_FFFF_FFFF, "1.7976931348623157e+308"), (0xFFEF_FFFF_FFFF_FFFF, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"), (0xC340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44B5_2D02_C7E1_4AF5, "9.999999999999997e+22"), (0x44B5_2D02_C7E1_4AF6, "1e+23"),
            (0x44B5_2D02_C7E1_4AF7, "1.0000000000000001e+23"),
            (0x444B_1AE4_D6E2_EF4E, "999999999999999700000"), (0x444B_1AE4_D6E2_EF4F, "999999999999999900000"),
            (0x444B_1AE4_D6E2_EF50, "1e+21"),
            (0x3EB0_C6F7_A0B5_ED8C, "9.999999999999997e-7"), (0x3EB0_C6F7_A0B5_ED8D, "0.000001"),
            (0x41B3_DE43_5555_5553, "333333333.3333332"), (0x41B3_DE43_5555_5554, "333333333.33333325"),
            (0x41B3_DE43_5555_5555, "333333333.3333333"), (0x41B3_DE43_5555_5556, "333333333.3333334"),
            (0x41B3_DE43_5555_5557, "333333333.33333343"),
            (0xBECB_F647_612F_3696, "-0.0000033333333333333333"), (0x4314_3FF3_C1CB_0959, "1424953923781206.2"),
        ] as [(UInt64, String)])
    func numbers(_ bits: UInt64, _ text: String) {
        #expect(JSONValue.number(Double(bitPattern: bits)).canonicalText == text)
    }

    @Test("members are sorted as in RFC 8785, section 3.2.3")
    func sorting() {
        let value: JSONValue = [
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1F600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
        ]
        #expect(value.objectValue?.keys == ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1F600}", "\u{fb33}"])
    }

    @Test("the sample object of RFC 8785, section 3.2.2 is written as there")
    func sample() throws {
        let text = #"""
            {"numbers": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],
             "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}
            """#
        // The RFC's first number, 333333333.33333329, is a double there; a reader that keeps digits must be told so.
        var object = try #require(try JSONValue.parse(Array(text.utf8)).objectValue)
        object["numbers"] = .array([.number(333333333.33333329)] + (object["numbers"]?.arrayValue ?? []))
        let expected =
            #"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#
            + #""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        #expect(JSONValue.object(object).canonicalText == expected)
    }

    @Test("strings escape what they must and nothing else")
    func strings() {
        #expect(JSONValue.string("\u{0}\u{8}\u{9}\u{A}\u{B}\u{C}\u{D}\u{1F}").canonicalText == #""\u0000\b\t\n\u000b\f\r\u001f""#)
        #expect(JSONValue.string("\u{7F}/é\u{2028}😀").canonicalText == "\"\u{7F}/é\u{2028}😀\"")
        #expect(JSONValue.string("").canonicalText == "\"\"")
    }

    @Test("integers keep every digit over their whole range")
    func integers() {
        #expect(JSONValue.integer(.max).canonicalText == "9223372036854775807")
        #expect(JSONValue.integer(.min).canonicalText == "-9223372036854775808")
        #expect(JSONValue(UInt64.max).canonicalText == "18446744073709551615")
        #expect(JSONValue(UInt64(5)) == .integer(5))
        #expect(JSONValue.number(-0.0).canonicalText == "0")
    }

    @Test("what is not a number never leaves as one")
    func nonFinite() {
        #expect(JSONValue.number(.nan).canonicalText == "null")
        #expect(JSONValue.number(-.infinity).canonicalText == "null")
    }

    @Test("canonical text is a fixed point of reading and writing")
    func fixedPoint() throws {
        var random = SeededGenerator.announced()
        for _ in 0..<3000 {
            let value = random.json()
            let bytes = value.canonicalBytes
            let again = try JSONValue.parse(bytes)
            #expect(again.canonicalBytes == bytes)
            #expect(JSONValue.firstDifference(value, again) == nil)
        }
    }
}
