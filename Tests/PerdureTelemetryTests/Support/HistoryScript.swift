import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureTelemetry

/// Writes a history by hand, each event a second after the one before unless it says otherwise.
struct HistoryScript {
    let record: RunRecord
    private(set) var events: [Event] = []
    private(set) var now = Timestamp(microseconds: 1_772_366_400_000_000)
    private var head: ChainHead

    static let child = RunID(milliseconds: 1_772_366_400_500, random: (7, 8))

    init(_ number: UInt64 = 1, start attributes: [String: JSONValue] = [:]) {
        let id = RunID(milliseconds: 1_772_366_400_000, random: (number, number))
        record = RunRecord(
            id: id, namespace: "default", workflow: "ship", version: "2", key: nil, inputDigest: "", salt: [], state: .running,
            createdAt: now)
        head = .start(namespace: "default", run: id.description)
        add(
            .runStarted, "",
            ["workflow": "ship", "version": "2", "by": ["kind": "human", "id": "ada"]].merging(attributes) { $1 })
    }

    /// - Parameter pause: How much later than the event before it stands.
    mutating func add(
        _ kind: EventKind, _ subject: String = "", _ attributes: [String: JSONValue] = [:], after pause: Duration = .seconds(1)
    ) {
        now = events.isEmpty ? now : now + pause
        let object = JSONObject(attributes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        let draft = EventDraft(kind, subject: subject, attributes: Attributes(object))
        events.append(head.append(draft, run: record.id.description, now: now))
    }

    mutating func step(_ kind: EventKind, _ subject: String, attempt: Int64 = 1, _ more: [String: JSONValue] = [:]) {
        add(kind, subject, ["effect": "idempotent", "attempt": .integer(attempt)].merging(more) { $1 })
    }

    var spans: [Span] {
        var trace = RunTrace(record)
        return trace.add(events)
    }

    /// The time of an event, by its number.
    func time(_ seq: Int) -> Timestamp { events[seq - 1].at }
}

extension [Span] {
    func named(_ name: String) -> [Span] { filter { $0.name == name } }
    var root: Span? { first { $0.parent == nil } }
}

extension Span {
    subscript(key: String) -> TelemetryAttribute.Value? { attributes.first { $0.key == key }?.value }
    var outcome: String? { if case .string(let text)? = self[TraceAttribute.outcome] { text } else { nil } }
    var attempt: Int64? { if case .int(let number)? = self[TraceAttribute.attempt] { number } else { nil } }
    var subject: String? { if case .string(let text)? = self[TraceAttribute.subject] { text } else { nil } }
}
