import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore

/// Writes a history by hand, each event a second after the one before.
struct HistoryBuilder {
    static let run = RunID(milliseconds: 1_733_700_000_000, random: (0, 1))
    static let start = Timestamp(microseconds: 1_772_366_400_000_000)

    var record: RunRecord
    var events: [Event] = []
    var now = HistoryBuilder.start
    private var head: ChainHead

    init(workflow: String = "ship", key: String? = nil, input: String = #"{"amount":12,"item":"book"}"#, fork: JSONValue? = nil) {
        let salt = [UInt8](repeating: 7, count: 16)
        record = RunRecord(
            id: Self.run, namespace: "default", workflow: workflow, version: "2.1", key: key,
            inputDigest: SaltedDigest.hex(salt: salt, canonicalBytes: Array(input.utf8)), salt: salt, state: .waiting,
            createdAt: Self.start)
        head = .start(namespace: "default", run: Self.run.description)
        add(
            .runStarted,
            [
                "workflow": .string(workflow), "version": "2.1", "by": Self.who("workload", "shop"),
            ].merging(key.map { ["key": .string($0)] } ?? [:]) { $1 }.merging(fork.map { ["fork": $0] } ?? [:]) { $1 },
            input: input)
    }

    static func who(_ kind: String, _ id: String) -> JSONValue {
        ["kind": .string(kind), "id": .string(id), "authentication": "unauthenticated"]
    }

    @discardableResult
    mutating func add(
        _ kind: EventKind, _ subject: String = "", _ attributes: [String: JSONValue] = [:], input: String? = nil,
        output: String? = nil
    ) -> Event {
        let draft = EventDraft(
            kind, subject: subject,
            attributes: Attributes(JSONObject(attributes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
            input: input.map { .inline(Array($0.utf8)) }, output: output.map { .inline(Array($0.utf8)) })
        let event = head.append(draft, run: Self.run.description, now: now)
        events.append(event)
        now = now + .seconds(1)
        if kind.isFinal {
            record.state = RunState(rawValue: String(kind.rawValue.dropFirst(4))) ?? .completed
            record.closedAt = event.at
        }
        return event
    }

    mutating func add(_ kind: EventKind, _ attributes: [String: JSONValue]) { add(kind, "", attributes) }
    mutating func add(_ kind: EventKind, _ attributes: [String: JSONValue], input: String) {
        add(kind, "", attributes, input: input)
    }

    mutating func pass(_ duration: Duration) { now = now + duration }

    static func time(after duration: Duration) -> JSONValue { .integer((start + duration).microseconds) }

    // MARK: Steps as the engine writes them

    mutating func done(_ subject: String, _ effect: String = "idempotent") {
        add(.stepSucceeded, subject, ["effect": .string(effect), "attempt": 1], input: "1", output: "{}")
    }

    mutating func intend(_ subject: String, attempt: Int64 = 1) {
        add(.stepIntended, subject, ["effect": "at_most_once", "attempt": .integer(attempt)], input: "1")
    }

    mutating func undo(_ subject: String) {
        add(.undoStarted, subject, ["effect": "idempotent", "attempt": 1])
        add(.undoSucceeded, subject, ["effect": "idempotent", "attempt": 1], output: "{}")
    }

    func digest(_ view: String) -> String { SaltedDigest.hex(salt: record.salt, canonicalBytes: Array(view.utf8)) }

    mutating func ask(_ subject: String, view: String = #"{"input":12}"#) {
        add(
            .approvalRequested, subject,
            [
                "approver": "role:finance", "view_digest": .string(digest(view)),
                "expires_at": Self.time(after: .seconds(259_200)),
            ],
            input: view)
    }

    mutating func decide(_ subject: String, approved: Bool = true, view: String = #"{"input":12}"#) {
        add(
            .approvalDecided, subject,
            [
                "approved": .bool(approved), "view_digest": .string(digest(view)), "by": Self.who("human", "ada"),
                "reason": "looks right",
            ])
    }

    func verify() -> HistoryVerifier.Report { HistoryVerifier.verify(record, events) }
}
