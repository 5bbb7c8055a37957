internal import PerdureHistory

/// A span whose end no event has told yet.
struct OpenSpan: Sendable {
    let id: SpanID
    var parent: SpanID?
    var name: String
    var kind = Span.Kind.internal
    var start: Timestamp
    var attributes: [TelemetryAttribute] = []
    var links: [Span.Link] = []
    private var events: [Span.Event] = []
    private var droppedEvents = 0

    /// More are only counted: what a span holds must not grow with its run.
    private static let mostEvents = 128

    init(
        _ id: SpanID, in parent: SpanID?, _ name: String, kind: Span.Kind = .internal, from start: Timestamp,
        _ attributes: [TelemetryAttribute] = [], links: [Span.Link] = []
    ) {
        self.id = id
        self.parent = parent
        self.name = name
        self.kind = kind
        self.start = start
        self.attributes = attributes
        self.links = links
    }

    /// An order that is the same whoever reads the history.
    func isBefore(_ other: OpenSpan) -> Bool { (start, id.description) < (other.start, other.id.description) }

    mutating func note(_ event: Span.Event) {
        if events.count < Self.mostEvents { events.append(event) } else { droppedEvents += 1 }
    }

    func closed(
        in trace: TraceID, at end: Timestamp, _ outcome: String, error: String? = nil, _ more: [TelemetryAttribute] = []
    ) -> Span {
        Span(
            traceID: trace, id: id, parent: parent, name: name, kind: kind, start: start, end: max(start, end),
            attributes: attributes + more + [TelemetryAttribute(TraceAttribute.outcome, outcome)], events: events,
            droppedEvents: droppedEvents, links: links, error: error)
    }
}

extension Span.Event {
    /// What is told of an event of the history: never what an author or a person has written.
    init(_ event: Event, _ attributes: JSONObject) {
        self.init(
            at: event.at, name: event.kind.rawValue,
            attributes: [TelemetryAttribute(TraceAttribute.seq, .int(event.seq))]
                + Self.told(by: event.kind).compactMap { key in
                    attributes[key].flatMap(TelemetryAttribute.Value.init).map { TelemetryAttribute("perdure.\(key)", $0) }
                } + Self.sender(attributes))
    }

    /// The attributes whose values are words of the engine's, numbers or versions.
    private static func told(by kind: EventKind) -> [String] {
        switch kind {
        case .runResumed: ["clean"]
        case .runBlocked: ["reason"]
        case .runParked: ["poisoned"]
        case .runRepinned: ["from", "to"]
        case .runReset: ["to", "completed"]
        case .operatorAction: ["action", "refused"]
        case .stepInDoubt, .undoInDoubt: ["reason"]
        case .stepResolved, .undoResolved: ["resolution"]
        default: []
        }
    }

    /// What kind of sender it was; who it was stands in the history alone.
    private static func sender(_ attributes: JSONObject) -> [TelemetryAttribute] {
        attributes["by"]?["kind"]?.stringValue.map { [TelemetryAttribute("perdure.by", $0)] } ?? []
    }
}

extension TelemetryAttribute.Value {
    init?(_ value: JSONValue) {
        if let text = value.stringValue {
            self = .string(text)
        } else if let bool = value.boolValue {
            self = .bool(bool)
        } else if let number = value.integerValue {
            self = .int(number)
        } else {
            return nil
        }
    }
}
