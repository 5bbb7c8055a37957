import PerdureHistory
import Testing

@Suite struct AttributesTests {
    @Test("attributes are stored as canonical text, and none as an empty string")
    func text() {
        let attributes: Attributes = ["b": 1, "a": ["x", .null, 1.5, true], "c": "d"]
        #expect(attributes.text == #"{"a":["x",null,1.5,true],"b":1,"c":"d"}"#)
        #expect(Attributes.none.text == "")
        #expect(([:] as Attributes).text == "")
        #expect(Attributes.none.description == "{}")
    }

    @Test("members without a value are left out")
    func missing() {
        let attempt: Int? = nil
        let attributes = Attributes.make(
            ("attempt", attempt.map { JSONValue($0) }), ("actor", "ann"), ("null", .some(.null)))
        #expect(attributes.text == #"{"actor":"ann","null":null}"#)
        #expect(Attributes.make(("attempt", nil)) == .none)
    }

    @Test("the members can be read back")
    func object() throws {
        let attributes: Attributes = ["attempt": 3, "definite": true]
        let object = try attributes.object()
        #expect(object["attempt"]?.integerValue == 3)
        #expect(object["definite"]?.boolValue == true)
        #expect(object["other"] == nil)
        #expect(try Attributes.none.object().isEmpty)
    }

    @Test("stored text that is not an object is a clear error", arguments: ["[]", "{", "nonsense", "{\"a\":1}}"])
    func damaged(_ text: String) {
        #expect(throws: PayloadError.self) { try Attributes(storedText: text).object() }
    }
}
