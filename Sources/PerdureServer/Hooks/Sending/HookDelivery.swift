internal import Perdure
internal import PerdureCommands
internal import PerdureHistory
internal import PerdureStore

/// One event for one endpoint, from when it is made until nobody asks for it any more. Its id follows from the event, so that an event
/// that is told again makes no other one; it is the `webhook-id` of every try.
struct HookDelivery: HookRecord {
    enum State: String, Sendable, Hashable, CaseIterable { case pending, delivered, failed }

    /// How long after each failed try the next one is made; after the last of them it is given up.
    static let schedule: [Duration] = [
        .seconds(5), .seconds(300), .seconds(1_800), .seconds(2 * 3_600), .seconds(5 * 3_600), .seconds(10 * 3_600),
        .seconds(14 * 3_600), .seconds(20 * 3_600), .seconds(24 * 3_600),
    ]
    /// How long nobody else tries while one does; longer than a try may take.
    static let lease = Duration.seconds(60)
    /// The longest wait that an endpoint may ask for.
    static let longestWait = Duration.seconds(86_400)
    static let deliveredKeptFor = Duration.seconds(3 * 86_400), failedKeptFor = Duration.seconds(30 * 86_400)

    let namespace: String
    let endpoint: String
    let id: String
    let type: String
    let run: String?
    let seq: Int64?
    /// What is sent, byte for byte the same at every try.
    let body: String
    let made: Timestamp
    private(set) var state = State.pending
    /// How often it was tried since it was made, or asked for once more.
    private(set) var tries = 0
    private(set) var last: (outcome: String, status: Int?, at: Timestamp)?
    /// When it is tried next, or nothing is kept of it any more.
    private(set) var due: Timestamp?
    /// Whoever tries just now; tells rows apart that would be the same otherwise.
    private(set) var holder: String?

    init(
        namespace: String, endpoint: String, id: String, type: String, run: String?, seq: Int64?, body: String, made: Timestamp
    ) {
        self.namespace = namespace
        self.endpoint = endpoint
        self.id = id
        self.type = type
        self.run = run
        self.seq = seq
        self.body = body
        self.made = made
        due = made
    }

    static func kind(of endpoint: String) -> String { "hook_deliveries.\(endpoint)" }
    static func key(_ namespace: String, _ endpoint: String, _ id: String) -> ControlKey {
        ControlKey(kind(of: endpoint), "\(namespace)/\(id)")
    }
    var key: ControlKey { Self.key(namespace, endpoint, id) }

    // MARK: What becomes of it

    /// Before a try. If whoever tries dies, it is tried again when the lease is over, as the same try.
    mutating func take(by holder: String, at now: Timestamp) {
        self.holder = holder
        due = now + Self.lease
    }

    /// The try was broken off.
    mutating func giveBack(at now: Timestamp) {
        holder = nil
        due = now
    }

    /// - Parameter jitter: From 0 to 1; by up to a tenth the next try comes later than the schedule says.
    mutating func finish(_ outcome: HookOutcome, at now: Timestamp, jitter: Double) {
        holder = nil
        tries += 1
        last = (outcome.text, outcome.status, now)
        if outcome.isSuccess {
            state = .delivered
            due = now + Self.deliveredKeptFor
        } else if outcome.isGone || tries > Self.schedule.count || now.duration(since: made) > Self.failedKeptFor {
            state = .failed
            due = now + Self.failedKeptFor
        } else {
            let wait = Self.schedule[tries - 1] * (1 + jitter / 10)
            due = now + max(wait, min(outcome.retryAfter ?? .zero, Self.longestWait))
        }
    }

    /// Whoever runs the endpoint wants it once more.
    mutating func sendAgain(at now: Timestamp) {
        state = .pending
        tries = 0
        holder = nil
        due = now
    }

    /// Nothing is kept of it any more.
    func isForgotten(at now: Timestamp) -> Bool { state != .pending && due.map { $0 <= now } ?? true }

    // MARK: As the store keeps it

    var json: JSONValue {
        .members(
            ("namespace", .string(namespace)), ("endpoint", .string(endpoint)), ("id", .string(id)), ("type", .string(type)),
            ("run", run.map(JSONValue.string)), ("seq", seq.map(JSONValue.integer)), ("body", .string(body)),
            ("made", .integer(made.microseconds)), ("state", .string(state.rawValue)), ("tries", JSONValue(tries)),
            ("last", last.map { .string($0.outcome) }), ("last_status", (last?.status).map { JSONValue($0) }),
            ("last_at", last.map { .integer($0.at.microseconds) }), ("due", due.map { .integer($0.microseconds) }),
            ("holder", holder.map(JSONValue.string)))
    }

    init?(_ json: JSONValue) {
        func time(_ name: String) -> Timestamp? { json[name]?.integerValue.map(Timestamp.init(microseconds:)) }
        guard let namespace = json["namespace"]?.stringValue, let endpoint = json["endpoint"]?.stringValue,
            let id = json["id"]?.stringValue, let type = json["type"]?.stringValue, let body = json["body"]?.stringValue,
            let made = time("made"), let state = json["state"]?.stringValue.flatMap(State.init),
            let tries = json["tries"]?.integerValue, (0...1_000).contains(tries)
        else { return nil }
        self.init(
            namespace: namespace, endpoint: endpoint, id: id, type: type, run: json["run"]?.stringValue,
            seq: json["seq"]?.integerValue, body: body, made: made)
        self.state = state
        self.tries = Int(tries)
        if let outcome = json["last"]?.stringValue, let at = time("last_at") {
            last = (outcome, json["last_status"]?.integerValue.map { Int($0) }, at)
        }
        due = time("due")
        holder = json["holder"]?.stringValue
    }

    var shown: JSONValue {
        .members(
            ("id", .string(id)), ("type", .string(type)), ("run", run.map(JSONValue.string)),
            ("seq", seq.map(JSONValue.integer)), ("state", .string(state.rawValue)), ("tries", JSONValue(tries)),
            ("made_at", JSONValue(time: made)), ("last_tried_at", last.map { JSONValue(time: $0.at) }),
            ("last_status", (last?.status).map { JSONValue($0) }), ("last_outcome", last.map { .string($0.outcome) }),
            ("next_try_at", state == .pending ? due.map(JSONValue.init(time:)) : nil))
    }
}
