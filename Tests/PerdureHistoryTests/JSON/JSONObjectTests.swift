import PerdureHistory
import Testing

@Suite struct JSONObjectTests {
    @Test("of members with the same key the last wins")
    func duplicates() throws {
        let object = JSONObject([("b", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)])
        #expect(JSONValue.object(object).canonicalText == #"{"a":4,"b":5}"#)
        #expect(try JSONValue.parse(Array(#"{"a":1,"b":2,"a":3}"#.utf8)).canonicalText == #"{"a":3,"b":2}"#)
    }

    @Test("members are found, replaced and removed by key")
    func access() {
        var object: JSONObject = ["b": 1, "a": .null]
        #expect(object["a"] == .some(.null))
        #expect(object["c"] == nil)
        object["c"] = "x"
        object["b"] = 2
        object["a"] = nil
        #expect(object.keys == ["b", "c"])
        object["missing"] = nil
        #expect(object.count == 2)
        object["b"] = .null
        #expect(JSONValue.object(object).canonicalText == #"{"b":null,"c":"x"}"#)
    }

    @Test("keys that only look the same are different members")
    func equivalence() {
        let object = JSONObject([("e\u{301}", 1), ("\u{e9}", 2)])
        #expect(object.count == 2)
        #expect(object["\u{e9}"] == 2)
    }

    @Test("the order of keys is that of their UTF-16 code units")
    func order() {
        var random = SeededGenerator.announced()
        for _ in 0..<3000 {
            let keys = (0..<4).map { _ in random.string(maximum: 4) }
            let sorted = JSONObject(keys.map { ($0, .null) }).keys.map { Array($0.utf16) }
            let expected = Set(keys.map { Array($0.utf16) }).sorted { $0.lexicographicallyPrecedes($1) }
            #expect(sorted == expected)
        }
    }
}
