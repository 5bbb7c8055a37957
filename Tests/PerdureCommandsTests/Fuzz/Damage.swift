import Foundation
import Perdure
import PerdureHistory
import PerdureStore

/// Chance that is the same for the same seed, and what it does to values, texts and histories.
struct Damage: RandomNumberGenerator {
    private var generator: DerivedGenerator

    init(seed: UInt64) {
        generator = DerivedGenerator(state: seed &* 0x9E37_79B9_7F4A_7C15)
        _ = generator.next()
    }

    mutating func next() -> UInt64 { generator.next() }

    /// The seeds that a test tries: the given ones, or the one of `PERDURE_SEED`, under which a failure is repeated.
    static func seeds(_ range: Range<UInt64>) -> [UInt64] {
        ProcessInfo.processInfo.environment["PERDURE_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? Array(range)
    }

    mutating func number(below limit: Int) -> Int { Int.random(in: 0..<max(1, limit), using: &self) }
    mutating func chance(_ one: Int) -> Bool { number(below: one) == 0 }
    mutating func pick<Value>(_ values: [Value]) -> Value { values[number(below: values.count)] }

    // MARK: Values that nobody expects

    private static let numbers: [Int64] = [
        .min, .min + 1, -1, 0, 1, 2, 255, 256, 65_536, 1 << 31, 1 << 53, .max - 1, .max, -1_000_000, 1_770_000_000_000_000,
    ]

    mutating func integer() -> Int64 { chance(3) ? Int64(truncatingIfNeeded: next()) : pick(Self.numbers) }

    private static let texts = [
        "", " ", "\u{0}", "\n", "a", "undo", "#", "#2", "x#0", "x#99999999999999999999", "/", "é", "e\u{301}", "\u{202E}", "😀",
        "null",
        "-1", "9223372036854775808", "1e400", "{}", "[]", "\"", "default", "run.started", "2026-01-01T00:00:00Z", "sha256:",
        "../..",
    ]

    mutating func text() -> String {
        chance(8) ? String(repeating: pick(Self.texts), count: 1 + number(below: 200)) : pick(Self.texts)
    }

    mutating func json(depth: Int = 2) -> JSONValue {
        switch number(below: depth > 0 ? 8 : 6) {
        case 0: .null
        case 1: .bool(chance(2))
        case 2: .integer(integer())
        case 3: .number(pick([-0.5, 1e300, .leastNonzeroMagnitude, 0.1]))
        case 4, 5: .string(text())
        case 6: .array((0..<number(below: 4)).map { _ in json(depth: depth - 1) })
        default: .object(JSONObject((0..<number(below: 4)).map { _ in (text(), json(depth: depth - 1)) }))
        }
    }

    // MARK: Damage to what is there

    mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...number(below: 3) {
            let place = number(below: bytes.count + 1)
            switch number(below: 5) {
            case 0 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &self)
            case 1 where place < bytes.count: bytes.remove(at: place)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &self), at: place)
            case 3: bytes.removeLast(bytes.count - place)
            default: bytes.insert(contentsOf: Array(bytes[..<place].suffix(8)), at: place)
            }
        }
        return bytes
    }

    /// One value somewhere in it is another, or is gone, or has another name.
    mutating func damaged(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object) where !object.isEmpty && !chance(6):
            var members = object.members.map { ($0.key, $0.value) }
            let place = number(below: members.count)
            switch number(below: 6) {
            case 0: members.remove(at: place)
            case 1: members[place].0 = text()
            case 2: members.append((text(), json()))
            default: members[place].1 = damaged(members[place].1)
            }
            return .object(JSONObject(members))
        case .array(var values) where !values.isEmpty && !chance(6):
            let place = number(below: values.count)
            switch number(below: 4) {
            case 0: values.remove(at: place)
            case 1: values.append(values[place])
            default: values[place] = damaged(values[place])
            }
            return .array(values)
        default: return json()
        }
    }

    private mutating func damaged(_ value: StoredValue?) -> StoredValue? {
        if case .inline(let bytes)? = value {
            if chance(3) { return .inline(damaged(bytes)) }
            if let parsed = try? JSONValue.parse(bytes), !chance(4) { return .inline(damaged(parsed).canonicalBytes) }
        }
        return chance(3) ? nil : .inline(json().canonicalBytes)
    }

    private mutating func damaged(_ attributes: Attributes) -> Attributes {
        if chance(8) { return Attributes(storedText: text()) }
        guard let object = try? attributes.object(), case .object(let changed) = damaged(.object(object)) else {
            return Attributes(storedText: json().canonicalText)
        }
        return Attributes(changed)
    }

    /// A history with some of its events changed, gone, doubled or elsewhere, or events of others in it.
    mutating func damaged(_ events: [Event], others: [Event]) -> [Event] {
        var events = events
        for _ in 0...number(below: 3) where !events.isEmpty {
            // What the first event says is believed by most of what follows.
            let place = chance(8) ? 0 : number(below: events.count)
            switch number(below: 10) {
            case 0: events.remove(at: place)
            case 1: events.insert(events[place], at: number(below: events.count))
            case 2: events.swapAt(place, number(below: events.count))
            case 3: events.insert(pick(others), at: place)
            case 4: events[place].kind = pick(EventKind.allCases)
            case 5: events[place].subject = chance(2) ? text() : pick(events).subject
            case 6: events[place].at = Timestamp(microseconds: integer())
            case 7:
                if chance(2) {
                    events[place].input = damaged(events[place].input)
                } else {
                    events[place].output = damaged(events[place].output)
                }
            default: events[place].attributes = damaged(events[place].attributes)
            }
        }
        return events
    }

    /// The same events with a chain that holds.
    static func rechained(_ events: [Event], namespace: String, run: RunID) -> [Event] {
        var head = ChainHead.start(namespace: namespace, run: run.description)
        return events.map {
            let draft = EventDraft(
                $0.kind, subject: $0.subject, attributes: $0.attributes, input: $0.input, output: $0.output)
            return head.append(draft, run: run.description, now: $0.at, codec: $0.codec, keyID: $0.keyID)
        }
    }
}
