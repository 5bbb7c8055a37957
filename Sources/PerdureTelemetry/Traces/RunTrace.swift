package import Perdure
package import PerdureHistory
package import PerdureStore

/// The trace of one run, made from its history: fed its events in their order, it gives each span when an event has closed it.
///
/// Pure: the same history gives the same spans, byte by byte, whoever reads it and in however many pieces. What it holds depends on what
/// is open in the run, not on the length of its history.
package struct RunTrace: Sendable {
    package let run: RunID
    package let traceID: TraceID
    let namespace: String
    let workflow: String
    var root: OpenSpan?
    var steps: [StepKey: OpenStep] = [:]
    var waits: [WaitKey: OpenSpan] = [:]
    /// See `AttemptIdentity.epoch`.
    var epoch = ""
    /// The last event that it has taken in.
    package private(set) var lastSeq: Int64 = 0
    /// When a process had the run again, or nobody held it up any more, the last time.
    private(set) var lastAwakening = Timestamp.epoch
    /// The last event that is a copy of the source's, in a fork.
    private var copiedUntil: Int64 = 0
    /// Whether the run has. What is done about it later has spans all the same.
    private(set) var hasEnded = false
    /// The time of the last event, and that of the last one before it that has another time.
    private var now = Timestamp.epoch
    private var before = Timestamp.epoch

    struct StepKey: Hashable, Sendable {
        let subject: String
        let isUndo: Bool
    }

    struct WaitKey: Hashable, Sendable {
        enum Family: Sendable { case timer, question, update, child }

        let family: Family
        let subject: String
    }

    package init(_ record: RunRecord) {
        run = record.id
        traceID = TraceID(record.id)
        namespace = record.namespace
        workflow = record.workflow
    }

    /// Takes the next event of the run in. One that was taken in already changes nothing.
    ///
    /// - Returns: The spans that it closes, in a fixed order.
    package mutating func add(_ event: Event) -> [Span] {
        guard event.seq > lastSeq else { return [] }
        lastSeq = event.seq
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        if event.kind == .runStarted { begin(event, attributes) }
        // What a fork has copied is in the trace of its source.
        guard event.seq > copiedUntil, root != nil else { return [] }
        if event.kind == .runForked { begin(at: event.at) }
        if event.at > now { (before, now) = (now, event.at) }
        if hasEnded { return addLate(event, attributes) }
        switch event.kind {
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: return end(event, attributes)
        case .runStarted: return []
        case .runReset:
            epoch = event.hash.description
            note(event, attributes)
            return endSteps(at: event.at, "passed_over")
        case .runRestored:
            epoch = event.hash.description
            note(event, attributes)
            return voidApprovals(at: event.at)
        case .runResumed, .runUnpaused, .runUnblocked, .runUnparked:
            lastAwakening = event.at
            note(event, attributes)
            return []
        case .operatorAction:
            addAction(event, attributes)
            return []
        default: break
        }
        switch event.kind.rawValue.prefix(while: { $0 != "." }) {
        case "step", "undo", "approval": return addStep(event, attributes)
        case "timer", "question", "signal", "update", "child": return addWait(event, attributes)
        case "run", "version": note(event, attributes)
        default: break
        }
        return []
    }

    /// The spans of several events, in order.
    package mutating func add(_ events: some Sequence<Event>) -> [Span] { events.flatMap { add($0) } }

    /// When the code asked for something at the latest that only its outcome tells of: the last event of an earlier time.
    var latestRelease: Timestamp { before }

    // MARK: The run

    private mutating func begin(at time: Timestamp) {
        root?.start = time
        (before, now) = (time, time)
    }

    private mutating func begin(_ event: Event, _ attributes: JSONObject) {
        func attribute(_ name: String, _ value: JSONValue?) -> TelemetryAttribute? {
            value?.stringValue.map { TelemetryAttribute(name, $0) }
        }
        let known = [
            TelemetryAttribute(TraceAttribute.run, run.description), TelemetryAttribute(TraceAttribute.namespace, namespace),
            TelemetryAttribute(TraceAttribute.workflow, workflow),
        ]
        let told = [
            attribute(TraceAttribute.version, attributes["version"]),
            attribute(TraceAttribute.queue, attributes["queue"]?["name"]),
            attribute(TraceAttribute.schedule, attributes["schedule"]?["id"]),
            attribute(TraceAttribute.starter, attributes["by"]?["kind"]),
        ]
        root = OpenSpan(
            .root(of: run), in: nil, "run \(workflow)", kind: .consumer, from: event.at, known + told.compactMap { $0 },
            links: links(of: attributes))
        copiedUntil = attributes["fork"]?["copied"]?.integerValue ?? 0
        begin(at: event.at)
    }

    private func links(of started: JSONObject) -> [Span.Link] {
        func id(_ value: JSONValue?, _ member: String = "run") -> RunID? { value?[member]?.stringValue.flatMap(RunID.init) }
        // To its parent a child that was continued stays the run that it began as.
        let child = id(started["continues"], "first") ?? run
        let parent = id(started["parent"]).map { parent in
            Span.Link(traceID: TraceID(parent), spanID: .child(child, of: parent), relation: "parent")
        }
        return [
            parent, id(started["continues"]).map { .root(of: $0, "continues") },
            id(started["fork"]).map { .root(of: $0, "forked_from") },
        ].compactMap { $0 }
    }

    /// What is still open ends with the run.
    private mutating func end(_ event: Event, _ attributes: JSONObject) -> [Span] {
        var spans = endSteps(at: event.at, "unfinished")
        for wait in waits.values.sorted(by: { $0.isBefore($1) }) {
            spans.append(wait.closed(in: traceID, at: event.at, "unfinished"))
        }
        (waits, hasEnded) = ([:], true)
        guard var root else { return spans }
        if let next = attributes["run"]?.stringValue.flatMap(RunID.init) { root.links.append(.root(of: next, "continued_as")) }
        let outcome = String(event.kind.rawValue.dropFirst("run.".count))
        let isError = event.kind == .runFailed || event.kind == .runTerminated
        spans.append(
            root.closed(
                in: traceID, at: event.at, outcome, error: isError ? outcome : nil,
                event.kind == .runFailed ? Self.failure(attributes) : []))
        return spans
    }

    /// What is done about a run that has ended stands beside its root.
    private func addLate(_ event: Event, _ attributes: JSONObject) -> [Span] {
        guard [.operatorAction, .stepResolved, .undoResolved].contains(event.kind), let root else { return [] }
        var span = OpenSpan(
            .begun("late", by: event, in: run, epoch: epoch), in: root.id, event.kind.rawValue, from: event.at, [subject(event)])
        span.note(Span.Event(event, attributes))
        return [span.closed(in: traceID, at: event.at, "recorded")]
    }

    // MARK: Parts

    mutating func note(_ event: Event, _ attributes: JSONObject) { root?.note(Span.Event(event, attributes)) }

    /// What a person did: beside the step that it was about, if that is under way.
    private mutating func addAction(_ event: Event, _ attributes: JSONObject) {
        let keys = [true, false].map { StepKey(subject: event.subject, isUndo: $0) }
        guard let key = keys.first(where: { steps[$0] != nil }) else { return note(event, attributes) }
        steps[key]?.span.note(Span.Event(event, attributes))
        guard attributes["action"]?.stringValue == "retry", attributes["refused"]?.stringValue == nil else { return }
        steps[key]?.isInDoubt = false
        steps[key]?.nextStart = event.at
    }

    func subject(_ event: Event) -> TelemetryAttribute { TelemetryAttribute(TraceAttribute.subject, event.subject) }

    /// What failed, without what the error says.
    static func failure(_ attributes: JSONObject) -> [TelemetryAttribute] {
        [(TraceAttribute.errorCode, "code"), (TraceAttribute.errorType, "type")].compactMap { name, key in
            attributes[key]?.stringValue.flatMap { $0.isEmpty ? nil : TelemetryAttribute(name, $0) }
        }
    }
}

extension Span.Link {
    static func root(of run: RunID, _ relation: String) -> Span.Link {
        Span.Link(traceID: TraceID(run), spanID: .root(of: run), relation: relation)
    }
}
