import Foundation
import PerdureHistory
import Testing

@Suite struct CanonicalEncoderTests {
    private func text(_ value: some Encodable) throws -> String {
        try CanonicalEncoder.encode(value).canonicalText
    }

    @Test("scalars and nil may stand alone")
    func scalars() throws {
        #expect(try text(1) == "1")
        #expect(try text("x") == "\"x\"")
        #expect(try text(true) == "true")
        #expect(try text(1.5) == "1.5")
        #expect(try text(UInt64.max) == "18446744073709551615")
        #expect(try text(Int64.min) == "-9223372036854775808")
        #expect(try text(Int?.none) == "null")
        #expect(try text(Int?.some(3)) == "3")
        #expect(try text(Int??.some(nil)) == "null")
        #expect(try text(Float(0.1)) == "0.10000000149011612")
        #expect(try text(Int128(7)) == "7")
    }

    @Test("Foundation's types are written as JSONDecoder reads them")
    func foundation() throws {
        #expect(try text(Date(timeIntervalSinceReferenceDate: 1.25)) == "1.25")
        #expect(try text(Data([1, 2, 255])) == "\"AQL/\"")
        #expect(try text(try #require(URL(string: "https://example.com/a?b=c"))) == "\"https://example.com/a?b=c\"")
        #expect(try text(try #require(Decimal(string: "0.1"))) == "0.1")
        #expect(try text(try #require(Decimal(string: "1234567890123456789.0123456789"))) == "1234567890123456789.0123456789")
        #expect(try text(try #require(Decimal(string: "-5000"))) == "-5000")
        #expect(try text([Date(timeIntervalSinceReferenceDate: 0)]) == "[0]")
        #expect(try text(["a": Data([0])]) == #"{"a":"AA=="}"#)
    }

    @Test("a value that encodes nothing is an empty object")
    func empty() throws {
        struct Silent: Encodable {
            func encode(to encoder: any Encoder) {}
        }
        struct Empty: Codable {}
        struct Holder: Encodable {
            var silent = Silent()
            var empty = Empty()
        }
        #expect(try text(Silent()) == "{}")
        #expect(try text(Empty()) == "{}")
        #expect(try text(Holder()) == #"{"empty":{},"silent":{}}"#)
        #expect(try text([Int]()) == "[]")
        #expect(try text([String: Int]()) == "{}")
    }

    @Test("absent optionals are left out and members are sorted")
    func optionals() throws {
        struct Order: Encodable {
            var z = 1
            var a: Int?
            var m: String? = "x"
        }
        #expect(try text(Order()) == #"{"m":"x","z":1}"#)
    }

    @Test("nested containers and super encoders land in their places, in whatever order they are filled")
    func containers() throws {
        struct Odd: Encodable {
            func encode(to encoder: any Encoder) throws {
                var object = encoder.container(keyedBy: AnyKey.self)
                var list = object.nestedUnkeyedContainer(forKey: "list")
                var inner = object.nestedContainer(keyedBy: AnyKey.self, forKey: "inner")
                try object.encode(1, forKey: "last")
                try inner.encode("x", forKey: "b")
                try list.encode(1)
                var deeper = list.nestedContainer(keyedBy: AnyKey.self)
                try list.encodeNil()
                try deeper.encode(true, forKey: "deep")
                var evenDeeper = list.nestedUnkeyedContainer()
                try evenDeeper.encode(2.5)
                try [1, 2].encode(to: list.superEncoder())
                #expect(list.count == 5)
                try "s".encode(to: object.superEncoder())
                var named = object.superEncoder(forKey: "named").singleValueContainer()
                try named.encode(Set([3, 1, 2]))
            }
        }
        #expect(
            try text(Odd())
                == #"{"inner":{"b":"x"},"last":1,"list":[1,{"deep":true},null,[2.5],[1,2]],"named":[1,2,3],"super":"s"}"#)
    }

    @Test("a subclass may share its superclass's object or nest it")
    func inheritance() throws {
        #expect(try text(Nesting()) == #"{"own":2,"super":{"base":1,"tags":["a","b","c"]}}"#)
        #expect(try text(Sharing()) == #"{"base":1,"own":2,"tags":["a","b","c"]}"#)
    }

    @Test("numbers that are not finite are an error with their path", arguments: [Double.nan, .infinity, -.infinity])
    func nonFinite(_ value: Double) throws {
        struct Item: Encodable { var price: Double }
        struct Order: Encodable { var items: [Item] }
        let error = try #require(throws: EncodingError.self) {
            try CanonicalEncoder.encode(["order": Order(items: [Item(price: 1), Item(price: value)])])
        }
        guard case .invalidValue(_, let context) = error else { throw error }
        #expect(context.codingPath.map(\.stringValue) == ["order", "items", "Index 1", "price"])
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(value) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode([Float(value)]) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(Decimal.nan) }
    }

    @Test("wide integers are written if 64 bits hold them, else they are an error")
    func wide() throws {
        #expect(try text([Int128(UInt64.max), -1]) == "[18446744073709551615,-1]")
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(Int128.max) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(["x": UInt128.max]) }
    }

    @Test("encoding twice in one place is an error and no crash")
    func misuse() {
        struct Twice: Encodable {
            func encode(to encoder: any Encoder) throws {
                var single = encoder.singleValueContainer()
                try single.encode(1)
                try single.encode(2)
            }
        }
        struct Mixed: Encodable {
            func encode(to encoder: any Encoder) throws {
                var list = encoder.unkeyedContainer()
                try list.encode(1)
                var object = encoder.container(keyedBy: AnyKey.self)
                try object.encode(2, forKey: "x")
            }
        }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(Twice()) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode([Mixed()]) }
    }

    @Test("data that nests too deep is an error and no crash")
    func depth() throws {
        var shallow = Chain(next: nil)
        for _ in 0..<100 { shallow = Chain(next: shallow) }
        #expect(try CanonicalEncoder.encode(shallow).canonicalBytes.count > 200)
        var deep = Chain(next: nil)
        for _ in 0..<2000 { deep = Chain(next: deep) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(deep) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(Endless()) }
        #expect(throws: EncodingError.self) { try CanonicalEncoder.encode(EndlessContainers()) }
    }
}

private final class Chain: Encodable {
    let next: [Chain]
    init(next: Chain?) { self.next = next.map { [$0] } ?? [] }
}

private struct Endless: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Endless())
    }
}

private struct EndlessContainers: Encodable {
    func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        for _ in 0..<5000 {
            list = list.nestedUnkeyedContainer()
        }
    }
}

private class Base: Encodable {
    var base = 1
    var tags: Set<String> = ["c", "a", "b"]
}

private final class Nesting: Base {
    override func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: AnyKey.self)
        try object.encode(2, forKey: "own")
        try super.encode(to: object.superEncoder())
    }
}

private final class Sharing: Base {
    override func encode(to encoder: any Encoder) throws {
        try super.encode(to: encoder)
        var object = encoder.container(keyedBy: AnyKey.self)
        try object.encode(2, forKey: "own")
    }
}
