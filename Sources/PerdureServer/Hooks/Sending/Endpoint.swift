internal import Perdure
internal import PerdureCommands
internal import PerdureHistory
internal import PerdureStore

/// Where the events of a namespace are told to.
struct Endpoint: HookRecord {
    static let kind = "hook_endpoints"
    /// How many there may be in a namespace.
    static let most = 50
    /// After how long nothing is kept any more of one that was removed. Who has read it before makes no deliveries to it by then.
    private static let remembered = Duration.seconds(86_400)
    /// After how long of nothing but failure nothing is sent to it any more.
    static let patience = Duration.seconds(5 * 86_400)

    let namespace: String
    let id: String
    var address: HookAddress { didSet { if address != oldValue { failingSince = nil } } }
    var events: [HookEvent]
    /// Only runs of this workflow.
    var workflow: String?
    var secrets: HookSecrets
    let made: Timestamp
    let maker: Principal
    /// Why nothing is sent to it; nil if something is.
    var disabled: (reason: String, at: Timestamp)?
    /// Since when everything that was sent to it has failed.
    var failingSince: Timestamp?
    var removed: Timestamp?

    init(
        namespace: String, id: String, address: HookAddress, events: [HookEvent], workflow: String?, secrets: HookSecrets,
        made: Timestamp, maker: Principal
    ) {
        self.namespace = namespace
        self.id = id
        self.address = address
        self.events = events
        self.workflow = workflow
        self.secrets = secrets
        self.made = made
        self.maker = maker
    }

    static func key(_ namespace: String, _ id: String) -> ControlKey { ControlKey(kind, "\(namespace)/\(id)") }
    var key: ControlKey { Self.key(namespace, id) }
    var due: Timestamp? { removed.map { $0 + Self.remembered } }

    /// Deliveries have a kind for each endpoint, so that one that is behind does not stand in the way of others.
    var deliveries: String { HookDelivery.kind(of: id) }

    var isTold: Bool { disabled == nil && removed == nil }

    /// An event has the time at which it was made, and is committed later; and two processes may see the time of the store a little apart.
    private static let clocksApart = Duration.seconds(60)

    func wants(_ event: HookEvent, of workflow: String, at: Timestamp) -> Bool {
        isTold && events.contains(event) && (self.workflow.map { $0 == workflow } ?? true) && at >= made - Self.clocksApart
    }

    // MARK: What becomes of it

    mutating func disable(_ reason: String, at now: Timestamp) { disabled = (reason, now) }

    mutating func enable() {
        disabled = nil
        failingSince = nil
    }

    /// Notes how a try went.
    ///
    /// - Returns: Whether that changes anything.
    mutating func note(_ outcome: HookOutcome, at now: Timestamp) -> Bool {
        if outcome.isSuccess {
            defer { failingSince = nil }
            return failingSince != nil
        }
        guard disabled == nil else { return false }
        if outcome.isGone {
            disable("It answered 410: it is gone.", at: now)
            return true
        }
        guard let since = failingSince else {
            failingSince = now
            return true
        }
        guard now.duration(since: since) >= Self.patience else { return false }
        disable("Everything that was sent to it since \(since) has failed; the last of it: \(outcome.text).", at: now)
        return true
    }

    // MARK: As the store keeps it

    var json: JSONValue {
        .members(
            ("namespace", .string(namespace)), ("id", .string(id)), ("url", .string(address.text)),
            ("events", .array(events.map { .string($0.rawValue) })), ("workflow", workflow.map(JSONValue.string)),
            ("secrets", secrets.json), ("made", .integer(made.microseconds)), ("maker", maker.hookJSON),
            ("disabled", disabled.map { .string($0.reason) }), ("disabled_at", disabled.map { .integer($0.at.microseconds) }),
            ("failing_since", failingSince.map { .integer($0.microseconds) }),
            ("removed", removed.map { .integer($0.microseconds) }))
    }

    init?(_ json: JSONValue) {
        func time(_ name: String) -> Timestamp? { json[name]?.integerValue.map(Timestamp.init(microseconds:)) }
        guard let namespace = json["namespace"]?.stringValue, let id = json["id"]?.stringValue,
            let address = json["url"]?.stringValue.flatMap({ try? HookAddress($0) }), let secrets = HookSecrets(json["secrets"]),
            let made = time("made"), let maker = Principal(hookJSON: json["maker"])
        else { return nil }
        self.init(
            namespace: namespace, id: id, address: address,
            events: (json["events"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(HookEvent.init) },
            workflow: json["workflow"]?.stringValue, secrets: secrets, made: made, maker: maker)
        if let reason = json["disabled"]?.stringValue { disabled = (reason, time("disabled_at") ?? made) }
        failingSince = time("failing_since")
        removed = time("removed")
    }

    /// As it is shown: without its secret.
    var shown: JSONValue {
        .members(
            ("id", .string(id)), ("url", .string(address.text)), ("events", .array(events.map { .string($0.rawValue) })),
            ("workflow", workflow.map(JSONValue.string)), ("enabled", .bool(disabled == nil)),
            ("disabled_reason", disabled.map { .string($0.reason) }),
            ("disabled_at", disabled.map { JSONValue(time: $0.at) }), ("failing_since", failingSince.map(JSONValue.init(time:))),
            ("rotated_at", secrets.rotatedAt.map(JSONValue.init(time:))), ("made_at", JSONValue(time: made)),
            ("made_by", .string(maker.id)))
    }
}
