import Foundation
import PerdureHistory
import Testing

/// Sets and dictionaries iterate in an order that changes with the process, the capacity and the insertions. None of it may
/// reach the bytes.
@Suite struct UnorderedCollectionTests {
    private func text(_ value: some Encodable) throws -> String {
        try CanonicalEncoder.encode(value).canonicalText
    }

    struct Pair: Codable, Hashable {
        var a: Int
        var b: String
    }

    struct Name: Codable, Hashable, CodingKeyRepresentable {
        var value: String
        var codingKey: any CodingKey { AnyKey(stringValue: value) }
        init(_ value: String) { self.value = value }
        init?(codingKey: some CodingKey) { value = codingKey.stringValue }
    }

    enum Colour: String, Codable, Hashable { case red, green, blue }

    struct Everything: Codable, Hashable {
        var strings: Set<String>
        var optional: Set<Int>?
        var pairs: Set<Pair>
        var nested: Set<Set<Int>>
        var byPair: [Pair: Set<String>]
        var byColour: [Colour: Int]
        var byInt: [Int: [Pair: Int]]
        var byName: [Name: Set<Int>]
        var byString: [String: [Colour: Set<Colour>]]
        var lists: [[Set<Int>]]
    }

    @Test("sets are sorted by the canonical bytes of their elements")
    func sets() throws {
        #expect(try text(Set([10, 9, 1])) == "[1,10,9]")
        #expect(try text(Set(["b", "a", "é"])) == #"["a","b","é"]"#)
        #expect(try text(Set<Int?>([nil, 2, 1])) == "[1,2,null]")
        #expect(try text(["x": Set([Set([2, 1]), Set([3])])]) == #"{"x":[[1,2],[3]]}"#)
        #expect(try text(Optional(Set([2, 1]))) == "[1,2]")
        #expect(try text(Optional(Optional(Set([2, 1])))) == "[1,2]")
    }

    @Test("dictionaries with other keys are written as the standard library reads them, sorted by key")
    func dictionaries() throws {
        #expect(try text([10: "a", 9: "b"]) == #"{"10":"a","9":"b"}"#)
        #expect(try text([Pair(a: 2, b: ""): 1, Pair(a: 1, b: ""): 2]) == #"[{"a":1,"b":""},2,{"a":2,"b":""},1]"#)
        #expect(try text([Colour.red: 1, .blue: 2]) == #"["blue",2,"red",1]"#)
        #expect(try text([Name("b"): 1, Name("a"): 2]) == #"{"a":2,"b":1}"#)
        #expect(try text([2.5: 1, 1.5: 2] as [Double: Int]) == "[1.5,2,2.5,1]")
    }

    @Test("keys that would be written the same are an error, since one would be lost")
    func collisions() {
        struct Faceless: Codable, Hashable {
            var hidden: Int
            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                try container.encode("same")
            }
        }
        struct Rounded: Hashable, Codable, CodingKeyRepresentable {
            var value: Int
            var codingKey: any CodingKey { AnyKey(stringValue: "\(value / 2)") }
            init(value: Int) { self.value = value }
            init?(codingKey: some CodingKey) { nil }
        }
        #expect(throws: EncodingError.self) {
            try CanonicalEncoder.encode([Faceless(hidden: 1): 1, Faceless(hidden: 2): 2])
        }
        #expect(throws: EncodingError.self) {
            try CanonicalEncoder.encode([Rounded(value: 2): 1, Rounded(value: 3): 2])
        }
    }

    @Test("the same content gives the same bytes whatever the insertion order and the capacity")
    func insertionOrder() throws {
        var random = SeededGenerator.announced()
        for _ in 0..<60 {
            let numbers = (0..<Int.random(in: 2...40, using: &random)).map { _ in Int.random(in: -99...99, using: &random) }
            var reference: String?
            for _ in 0..<5 {
                let value = everything(numbers, &random)
                let text = try text(value)
                #expect(text == reference ?? text)
                reference = text
                let decoded = try JSONDecoder().decode(Everything.self, from: Data(text.utf8))
                #expect(decoded == value)
            }
        }
    }

    private func set<Element: Hashable>(_ elements: [Element], _ random: inout SeededGenerator) -> Set<Element> {
        var set = Set<Element>(minimumCapacity: Int.random(in: 0...500, using: &random))
        for element in elements.shuffled(using: &random) { set.insert(element) }
        return set
    }

    private func dictionary<Key: Hashable, Value>(
        _ keys: [Key], _ random: inout SeededGenerator, _ value: (Key, inout SeededGenerator) -> Value
    ) -> [Key: Value] {
        var dictionary = [Key: Value](minimumCapacity: Int.random(in: 0...500, using: &random))
        for key in keys.shuffled(using: &random) { dictionary[key] = value(key, &random) }
        return dictionary
    }

    private func everything(_ numbers: [Int], _ random: inout SeededGenerator) -> Everything {
        let pairs = numbers.map { Pair(a: $0 % 7, b: "\($0)") }
        let colours: [Colour] = [.red, .green, .blue]
        return Everything(
            strings: set(numbers.map(String.init), &random),
            optional: set(numbers, &random),
            pairs: set(pairs, &random),
            nested: set(numbers.map { [$0, $0 + 1, $0 + 2] }.map { set($0, &random) }, &random),
            byPair: dictionary(pairs, &random) { set(["x", "y", $0.b], &$1) },
            byColour: dictionary(colours, &random) { key, _ in key.rawValue.count },
            byInt: dictionary(numbers, &random) { number, random in
                dictionary(pairs, &random) { pair, _ in pair.a + number }
            },
            byName: dictionary(numbers.map { Name("n\($0)") }, &random) { _, random in set(numbers, &random) },
            byString: dictionary(numbers.map(String.init), &random) { _, random in
                dictionary(colours, &random) { _, random in set(colours, &random) }
            },
            lists: numbers.map { [set([$0, 1, 2, 3], &random)] })
    }
}
