import PerdureHistory
import Testing

@Suite struct FirstDifferenceTests {
    @Test(
        "the first differing path is named with both values",
        arguments: [
            (["service": "db"], ["service": "cache"], #"service: history has "db", the code asked for "cache""#),
            (
                ["order": ["items": [1, ["price": 2]]]], ["order": ["items": [1, ["price": 3]]]],
                "order.items[1].price: history has 2, the code asked for 3"
            ),
            (["a": 1], ["a": 1, "b": 2], "b: history has nothing, the code asked for 2"),
            (["a": 1, "b": 2], ["b": 2], "a: history has 1, the code asked for nothing"),
            ([1, 2], [1], "[1]: history has 2, the code asked for nothing"),
            ("x", .null, #"the value: history has "x", the code asked for null"#),
            ([], [:], "the value: history has [], the code asked for {}"),
        ] as [(JSONValue, JSONValue, String)])
    func named(_ recorded: JSONValue, _ asked: JSONValue, _ text: String) {
        #expect(JSONValue.firstDifference(recorded, asked) == text)
    }

    @Test("values that are written the same do not differ")
    func same() {
        #expect(JSONValue.firstDifference(["a": [1, 2.0]], ["a": [1.0, 2]]) == nil)
    }

    @Test("long values are shortened")
    func shortened() throws {
        let long = JSONValue.string(String(repeating: "x", count: 1000))
        let text = try #require(JSONValue.firstDifference(long, 1))
        #expect(text.count < 130)
        #expect(text.contains("…"))
    }
}
