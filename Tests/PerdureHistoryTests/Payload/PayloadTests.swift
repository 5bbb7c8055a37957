import Foundation
import PerdureHistory
import Testing

@Suite struct PayloadTests {
    struct Item: Codable, Equatable {
        var name: String
        var price: Double
    }

    struct Order: Codable, Equatable {
        var items: [Item]
    }

    private func payload(_ text: String) -> Payload {
        Payload(bytes: Array(text.utf8))
    }

    @Test("a value over the limit is refused with its size, one at the limit is not")
    func limit() throws {
        #expect(try Payload.encode("12345678", limit: 10, what: "x").bytes.count == 10)
        #expect(throws: PayloadError.tooLarge(what: "the input of step \"a\"", size: 11, limit: 10)) {
            try Payload.encode("123456789", limit: 10, what: "the input of step \"a\"")
        }
        #expect(Payload.defaultLimit == 8_388_608)
    }

    @Test("a value that does not encode is named with its path")
    func notEncodable() throws {
        let order = ["order": Order(items: [Item(name: "a", price: 1), Item(name: "b", price: .nan)])]
        let error = try #require(throws: PayloadError.self) { try Payload.encode(order, what: "the output of step \"a\"") }
        #expect(
            error.description == """
                Cannot record the output of step "a" at order.items[1].price: nan is not a number that JSON can hold. \
                Change the value or its type so that it encodes to JSON.
                """)
    }

    @Test("an error of the author's own encoder is kept")
    func foreignError() throws {
        struct Refused: Error {}
        struct Refusing: Encodable {
            func encode(to encoder: any Encoder) throws { throw Refused() }
        }
        let error = try #require(throws: PayloadError.self) { try Payload.encode([Refusing()], what: "x") }
        #expect(error == .notEncodable(what: "x", path: "", reason: "its encode(to:) threw Refused()"))
    }

    @Test("a value that does not decode is named with its path and the type expected")
    func notDecodable() throws {
        func failure(_ text: String) throws -> (path: String, expected: String) {
            let error = try #require(throws: PayloadError.self) { try payload(text).decode(Order.self, what: "x") }
            guard case .notDecodable("x", let path, let expected, _) = error else { throw error }
            #expect(error.description.hasPrefix("Cannot read x as today's type: expected \(expected)"))
            return (path, expected)
        }
        #expect(try failure(#"{"items":[{"name":"a","price":1},{"name":"b","price":"2"}]}"#) == ("items[1].price", "Double"))
        #expect(try failure(#"{"items":[{"name":"a"}]}"#) == ("items[0].price", "a value"))
        #expect(try failure(#"{"items":null}"#).path == "items")
        #expect(try failure("{").expected == "Order")
        #expect(try failure("").expected == "Order")
        #expect(try failure("[]").path == "")
    }

    @Test("data that nests very deep is an error and no crash")
    func deep() {
        let bytes = Array(repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(throws: PayloadError.self) { try Payload(bytes: bytes).decode([Int].self, what: "x") }
    }

    struct Before: Codable { var name: String }

    struct After: Codable {
        var name: String
        var colour: String

        init(name: String, colour: String = "red") {
            self.name = name
            self.colour = colour
        }

        init(from decoder: any Decoder) throws {
            let object = try decoder.container(keyedBy: CodingKeys.self)
            name = try object.decode(String.self, forKey: .name)
            colour = try object.decodeIfPresent(String.self, forKey: .colour) ?? "red"
        }
    }

    @Test("a new property with a default does no harm, a different value does")
    func fits() throws {
        let recorded = try Payload.encode(Before(name: "a"), what: "x")
        #expect(try recorded.fits(Before(name: "a")) == .identical)
        #expect(try recorded.fits(After(name: "a")) == .equivalentAfterDecoding)
        #expect(try recorded.fits(After(name: "a", colour: "blue")) == .different)
        #expect(try recorded.fits(Before(name: "b")) == .different)
        #expect(try recorded.fits(7) == .different)
        #expect(throws: PayloadError.self) { try recorded.fits(Double.nan) }
        #expect(try payload("{\"na").fits(Before(name: "a")) == .different)
    }

    @Test("a property that is gone does no harm either")
    func dropped() throws {
        let recorded = try Payload.encode(After(name: "a"), what: "x")
        #expect(try recorded.fits(Before(name: "a")) == .equivalentAfterDecoding)
    }

    @Test("the first difference of two payloads is told")
    func difference() throws {
        let recorded = try Payload.encode(["service": "db"], what: "x")
        let asked = try Payload.encode(["service": "cache"], what: "x")
        #expect(recorded.firstDifference(from: asked) == #"service: history has "db", the code asked for "cache""#)
        #expect(recorded.firstDifference(from: recorded) == nil)
        #expect(payload("{").firstDifference(from: asked) == nil)
    }
}
