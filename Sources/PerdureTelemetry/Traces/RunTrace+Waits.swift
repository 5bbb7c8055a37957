internal import Perdure
internal import PerdureHistory

// What a run waits for beside its steps: time, people, messages, children.
extension RunTrace {
    mutating func addWait(_ event: Event, _ attributes: JSONObject) -> [Span] {
        switch event.kind {
        case .timerStarted:
            return open(.timer, "timer", event, due(attributes, "due"))
        case .timerFired: return close(.timer, event, "fired")
        case .timerCancelled: return close(.timer, event, "cancelled")
        case .questionAsked: return open(.question, "question", event, due(attributes, "expires_at"))
        case .questionAnswered: return close(.question, event, "answered")
        case .questionExpired: return close(.question, event, "expired")
        case .questionCancelled: return close(.question, event, "cancelled")
        case .signalReceived: return [message("signal", event, attributes).closed(in: traceID, at: event.at, "received")]
        case .signalUndelivered:
            return [message("signal", event, attributes).closed(in: traceID, at: event.at, "undelivered", error: "undelivered")]
        case .updateReceived:
            let key = WaitKey(family: .update, subject: attributes["delivery"]?.stringValue ?? "")
            return open(key, message("update", event, attributes), at: event.at)
        case .updateCompleted: return close(.update, event, "completed")
        case .updateRejected: return rejectUpdate(event, attributes)
        default: return addChild(event, attributes)
        }
    }

    // MARK: Messages

    /// A message, from when it was accepted to when the run heard of it. When the code began to wait for it, no event tells.
    private func message(_ what: String, _ event: Event, _ attributes: JSONObject, named name: String? = nil) -> OpenSpan {
        let accepted = attributes["accepted_at"]?.integerValue.map(Timestamp.init(microseconds:)) ?? event.at
        return OpenSpan(
            .begun(what, by: event, in: run, epoch: epoch), in: root?.id, "\(what) \(name ?? event.subject)", kind: .consumer,
            from: min(event.at, max(accepted, root?.start ?? event.at)), [subject(event)])
    }

    /// One that came too late for any code was never received.
    private mutating func rejectUpdate(_ event: Event, _ attributes: JSONObject) -> [Span] {
        let spans = close(.update, event, "rejected", error: "rejected")
        guard spans.isEmpty, attributes["unheard"]?.boolValue == true else { return spans }
        return [
            message("update", event, attributes, named: attributes["name"]?.stringValue).closed(
                in: traceID, at: event.at, "rejected", error: "rejected")
        ]
    }

    // MARK: Children

    private mutating func addChild(_ event: Event, _ attributes: JSONObject) -> [Span] {
        switch event.kind {
        case .childStarted:
            guard let child = attributes["run"]?.stringValue.flatMap(RunID.init) else { return [] }
            let span = OpenSpan(
                .child(child, of: run), in: root?.id, "child \(Name.ofOperation(event.subject))", kind: .producer,
                from: event.at, [subject(event), TelemetryAttribute(TraceAttribute.child, child.description)],
                links: [.root(of: child, "child")])
            if attributes["detached"]?.boolValue == true { return [span.closed(in: traceID, at: event.at, "detached")] }
            return open(WaitKey(family: .child, subject: event.subject), span, at: event.at)
        case .childCancelRequested:
            waits[WaitKey(family: .child, subject: event.subject)]?.note(Span.Event(event, attributes))
            return []
        case .childCompleted: return close(.child, event, "completed")
        case .childFailed: return close(.child, event, "failed", error: "failed", Self.failure(attributes))
        default: return close(.child, event, attributes["abandoned"]?.boolValue == true ? "abandoned" : "cancelled")
        }
    }

    // MARK: Parts

    private mutating func open(
        _ family: WaitKey.Family, _ what: String, _ event: Event, _ attributes: [TelemetryAttribute]
    ) -> [Span] {
        let span = OpenSpan(
            .begun(what, by: event, in: run, epoch: epoch), in: root?.id, "\(what) \(Name.ofOperation(event.subject))",
            from: event.at,
            [subject(event)] + attributes)
        return open(WaitKey(family: family, subject: event.subject), span, at: event.at)
    }

    /// No history begins the same twice without an end between; a span is closed all the same.
    private mutating func open(_ key: WaitKey, _ span: OpenSpan, at time: Timestamp) -> [Span] {
        waits.updateValue(span, forKey: key).map { [$0.closed(in: traceID, at: time, "superseded")] } ?? []
    }

    /// What ends without a beginning here has no span: an update that was received by the run that this one continues.
    private mutating func close(
        _ family: WaitKey.Family, _ event: Event, _ outcome: String, error: String? = nil,
        _ more: [TelemetryAttribute] = []
    ) -> [Span] {
        waits.removeValue(forKey: WaitKey(family: family, subject: event.subject)).map {
            [$0.closed(in: traceID, at: event.at, outcome, error: error, more)]
        } ?? []
    }
}
