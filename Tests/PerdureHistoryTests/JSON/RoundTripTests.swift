import Foundation
import PerdureHistory
import Testing

/// What the canonical encoder writes, Foundation's `JSONDecoder` reads back.
@Suite struct RoundTripTests {
    private func check<T: Codable & Equatable>(_ value: T, _ location: SourceLocation = #_sourceLocation) throws {
        let payload = try Payload.encode(value, what: "the value")
        #expect(try payload.decode(T.self, what: "the value") == value, sourceLocation: location)
        #expect(try payload.fits(value, what: "the value") == .identical, sourceLocation: location)
    }

    @Test("scalars come back, also at the edges of their ranges")
    func scalars() throws {
        try check(Int.max)
        try check(Int64.min)
        try check(UInt64.max)
        try check([UInt8.max])
        try check([Int8.min])
        try check(Int?.none)
        try check("\u{0}é😀\u{FFFF}")
        try check([Float.leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1, -1 / 3])
        try check([Double.leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1, -1 / 3, 1e21, 1e-7])
        try check(9_007_199_254_740_993 as Int64)
    }

    @Test("random doubles and floats come back to the bit")
    func floatingPoint() throws {
        var random = SeededGenerator.announced()
        for _ in 0..<3000 {
            try check(random.double())
            let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if float.isFinite { try check(float) }
        }
    }

    @Test("random strings come back", .timeLimit(.minutes(1)))
    func strings() throws {
        var random = SeededGenerator.announced()
        for _ in 0..<1000 {
            let text = random.string(maximum: 30)
            let back: String = try Payload.encode(text, what: "text").decode(what: "text")
            #expect(Array(back.utf8) == Array(text.utf8))
        }
    }

    @Test("decimals come back to the last digit")
    func decimals() throws {
        let texts = [
            "0", "0.1", "-0.1", "1.10", "12345678901234567890.123456789", "99999999999999999999999999999999999999",
            "0.00000000000000000000000000000000000001", "1e30", "1e-30", "333333333.33333329", "18446744073709551616",
            "1e100", "9007199254740993.5",
        ]
        for text in texts {
            try check(try #require(Decimal(string: text)))
        }
        var random = SeededGenerator.announced()
        for _ in 0..<1000 {
            let digits = String(
                (0..<Int.random(in: 1...37, using: &random)).map { _ in Character("\(Int.random(in: 0...9, using: &random))") })
            let text = "\(digits)e\(Int.random(in: -60...60, using: &random))"
            try check(try #require(Decimal(string: text)))
        }
    }

    @Test("dates, data, URLs and UUIDs come back")
    func foundation() throws {
        var random = SeededGenerator.announced()
        for _ in 0..<200 {
            try check(Date(timeIntervalSinceReferenceDate: Double.random(in: -1e10...1e10, using: &random)))
            try check(Data((0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }))
        }
        try check(try #require(URL(string: "https://example.com/%C3%A9?q=1#f")))
        try check(UUID())
        try check([Date.distantPast, .distantFuture])
        try check(["d": Date.distantPast])
        try check(Duration.milliseconds(-1500))
        try check(1..<5)
    }

    enum Shape: Codable, Equatable {
        case point
        case circle(radius: Double)
        case polygon([Int], closed: Bool)
        indirect case group(Shape, Shape?)
    }

    struct Nested: Codable, Equatable {
        var optional: Int??
        var list: [Int?]
        var lists: [[String]]
        var map: [String: Shape?]
        var money: Decimal
        var when: Date?
        var blob: Data
        var tuple: [Int: [String: UInt64]]
    }

    @Test("enums, nested optionals and collections come back")
    func shapes() throws {
        try check([Shape.point, .circle(radius: 1.5), .polygon([1, 2], closed: true), .group(.point, nil)])
        try check(
            Nested(
                optional: 3, list: [1, nil, 2], lists: [[], ["x"]], map: ["a": .point, "b": .group(.point, .point)],
                money: try #require(Decimal(string: "19.99")), when: Date(timeIntervalSinceReferenceDate: 0.1),
                blob: Data([0, 255]), tuple: [1: ["x": .max], -2: [:]]))
        try check([String?]([nil, "x"]))
        try check(["": ["": [Int]()]])
        try check(Set([Set<Int>(), [1]]))
    }

    class Animal: Codable {
        var name: String
        init(name: String) { self.name = name }
    }

    final class Dog: Animal {
        var tricks: Set<String> = []

        enum CodingKeys: String, CodingKey { case tricks }

        override init(name: String) { super.init(name: name) }

        required init(from decoder: any Decoder) throws {
            let object = try decoder.container(keyedBy: CodingKeys.self)
            tricks = try object.decode(Set<String>.self, forKey: .tricks)
            try super.init(from: object.superDecoder())
        }

        override func encode(to encoder: any Encoder) throws {
            var object = encoder.container(keyedBy: CodingKeys.self)
            try object.encode(tricks, forKey: .tricks)
            try super.encode(to: object.superEncoder())
        }
    }

    @Test("a subclass comes back with its superclass's properties")
    func inheritance() throws {
        let dog = Dog(name: "Rex")
        dog.tricks = ["sit", "roll", "paw"]
        let payload = try Payload.encode(dog, what: "dog")
        #expect(String(decoding: payload.bytes, as: UTF8.self) == #"{"super":{"name":"Rex"},"tricks":["paw","roll","sit"]}"#)
        let back = try payload.decode(Dog.self, what: "dog")
        #expect(back.name == "Rex")
        #expect(back.tricks == dog.tricks)
    }

    @Test("what JSONEncoder writes means the same as what we write")
    func foundationAgreement() throws {
        func agree(_ value: some Encodable) throws {
            let encoder = JSONEncoder()
            let theirs = try JSONValue.parse(Array(encoder.encode(value)))
            #expect(JSONValue.firstDifference(theirs, try CanonicalEncoder.encode(value)) == nil)
        }
        try agree([Shape.polygon([1], closed: false), .group(.point, .circle(radius: 0.1))])
        try agree(["a": Date(timeIntervalSinceReferenceDate: 7.5)])
        try agree([1: "x", 2: "y"])
        try agree([Data([1, 2, 3])])
        try agree(Nested(optional: nil, list: [nil], lists: [], map: [:], money: 1.5, when: nil, blob: Data(), tuple: [:]))
        try agree(Dog(name: "Rex"))
        try agree(Duration.seconds(5))
    }
}
