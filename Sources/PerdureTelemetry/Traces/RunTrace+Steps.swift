internal import Perdure
internal import PerdureHistory

// Steps, undos, their attempts, and the approvals that belong to steps.
extension RunTrace {
    mutating func addStep(_ event: Event, _ attributes: JSONObject) -> [Span] {
        let key = StepKey(subject: event.subject, isUndo: event.kind.isOfUndo)
        var step = steps.removeValue(forKey: key) ?? opened(key, by: event)
        if let effect = attributes["effect"]?.stringValue,
            !step.span.attributes.contains(where: { $0.key == TraceAttribute.effect })
        {
            step.span.attributes.append(TelemetryAttribute(TraceAttribute.effect, effect))
        }
        var spans: [Span] = [], end: StepEnd?
        switch event.kind {
        case .stepIntended, .undoStarted: intend(&step, event, attributes)
        case .stepAttemptFailed, .undoAttemptFailed:
            spans.append(endedAttempt(of: &step, event, attributes, "failed"))
            step.nextStart = attributes["next_at"]?.integerValue.map(Timestamp.init(microseconds:))
        case .stepSucceeded, .undoSucceeded:
            end = StepEnd("succeeded")
            if let other = attributes["adopted_from"]?.stringValue {
                adopt(from: other, &step)
            } else {
                spans.append(endedAttempt(of: &step, event, attributes, "succeeded"))
            }
        case .stepFailed, .undoFailed:
            // A step whose key is held with another input was never attempted.
            if attributes["code"]?.stringValue != StepFailure.keyConflict {
                spans.append(endedAttempt(of: &step, event, attributes, "failed"))
            }
            // A failed undo waits for a person.
            if event.kind == .stepFailed { end = StepEnd("failed", isError: true, Self.failure(attributes)) }
        case .stepCancelled:
            if attributes["definite"]?.boolValue != nil { spans.append(endedAttempt(of: &step, event, attributes, "failed")) }
            end = StepEnd("cancelled")
        case .stepInDoubt, .undoInDoubt: spans += doubt(&step, event, attributes)
        case .stepResolved, .undoResolved: end = resolve(&step, event, attributes)
        default: (spans, end) = approval(&step, event, attributes)
        }
        guard let end else {
            steps[key] = step
            return spans
        }
        // One that nobody has decided, as of a step that was cancelled or resolved.
        if let approval = step.approval { spans.append(approval.closed(in: traceID, at: event.at, "unfinished")) }
        return spans + [closed(step, at: event.at, end)]
    }

    /// A restoration ends approvals without events of their own; where they are still wanted they are asked for anew.
    mutating func voidApprovals(at time: Timestamp) -> [Span] {
        var spans: [Span] = []
        for key in steps.filter({ $0.value.approval != nil }).sorted(by: { $0.value.span.isBefore($1.value.span) }).map(\.key) {
            if let approval = steps[key]?.approval.take() { spans.append(approval.closed(in: traceID, at: time, "voided")) }
        }
        return spans
    }

    /// How a step ended.
    private struct StepEnd {
        let outcome: String
        let isError: Bool
        let attributes: [TelemetryAttribute]

        init(_ outcome: String, isError: Bool = false, _ attributes: [TelemetryAttribute] = []) {
            self.outcome = outcome
            self.isError = isError
            self.attributes = attributes
        }
    }

    /// Steps without an end of their own end with their run, and with a reset, after which the code asks for them anew.
    mutating func endSteps(at time: Timestamp, _ outcome: String) -> [Span] {
        defer { steps = [:] }
        return steps.values.sorted { $0.span.isBefore($1.span) }.flatMap { ended($0, at: time, outcome) }
    }

    private func ended(_ step: OpenStep, at time: Timestamp, _ outcome: String) -> [Span] {
        var step = step, spans: [Span] = []
        if let approval = step.approval { spans.append(approval.closed(in: traceID, at: time, outcome)) }
        if let attempt = step.attempt {
            let span = step.endAttempt(attempt.number, in: self, at: time)
            spans.append(span.closed(in: traceID, at: time, outcome))
        }
        return spans + [closed(step, at: time, step.isInDoubt ? StepEnd("in_doubt", isError: true) : StepEnd(outcome))]
    }

    private func closed(_ step: OpenStep, at time: Timestamp, _ end: StepEnd) -> Span {
        let attempts = TelemetryAttribute(TraceAttribute.attempts, .int(Int64(step.attempts)))
        return step.span.closed(
            in: traceID, at: time, end.outcome, error: end.isError ? end.outcome : nil, [attempts] + end.attributes)
    }

    /// Of a plain step the first event tells its end, and not when it began.
    private func opened(_ key: StepKey, by event: Event) -> OpenStep {
        let hasBeginning = [.stepIntended, .undoStarted, .approvalRequested].contains(event.kind)
        var attributes = [subject(event)]
        if !hasBeginning { attributes.append(TelemetryAttribute(TraceAttribute.isStartEstimated, .bool(true))) }
        let what = key.isUndo ? "undo" : "step"
        let span = OpenSpan(
            .begun(what, by: event, in: run, epoch: epoch), in: root?.id, "\(what) \(Name.ofOperation(key.subject))",
            from: hasBeginning ? event.at : latestRelease, attributes)
        return OpenStep(span, of: key.subject, isUndo: key.isUndo, epoch: epoch)
    }

    // MARK: Attempts

    private func intend(_ step: inout OpenStep, _ event: Event, _ attributes: JSONObject) {
        let number = attributes["attempt"]?.integerValue ?? step.nextNumber
        // One that was sent before goes on, under its number; an intent that was not acted upon had no attempt.
        let goesOn = step.attempt?.number == number && attributes["replaces_unsent"]?.boolValue != true
        if !goesOn { step.attempt = .init(number: number, start: event.at) }
    }

    private func endedAttempt(
        of step: inout OpenStep, _ event: Event, _ attributes: JSONObject, _ outcome: String
    ) -> Span {
        let number = attributes["attempt"]?.integerValue ?? step.nextNumber
        let span = step.endAttempt(number, in: self, at: event.at)
        let isError = outcome != "succeeded"
        return span.closed(
            in: traceID, at: event.at, outcome, error: isError ? outcome : nil, isError ? Self.failure(attributes) : [])
    }

    private func adopt(from other: String, _ step: inout OpenStep) {
        step.attempt = nil
        step.span.attributes.append(TelemetryAttribute(TraceAttribute.adoptedFrom, other))
        if let other = RunID(other) { step.span.links.append(.root(of: other, "adopted_from")) }
    }

    /// The reasons of a doubt that an attempt without an outcome of its own has left.
    private static let cuts: Set<String> = ["interrupted", "no_answer", "unrecordable", "partly", "probe_failed"]

    /// Nobody knows whether the attempt did anything: it is over all the same, and another one will be another span.
    private func doubt(_ step: inout OpenStep, _ event: Event, _ attributes: JSONObject) -> [Span] {
        step.span.note(Span.Event(event, attributes))
        defer { step.isInDoubt = true }
        let hasFailed = attributes["attempt_failed"]?.boolValue == true
        // Others are about attempts that have ended: a window that has passed, an end while the step waited to be tried again.
        let wasCut = Self.cuts.contains(attributes["reason"]?.stringValue ?? "")
        guard step.attempt != nil || !step.isInDoubt && (hasFailed || wasCut) else { return [] }
        return [endedAttempt(of: &step, event, attributes, "in_doubt")]
    }

    private func resolve(_ step: inout OpenStep, _ event: Event, _ attributes: JSONObject) -> StepEnd? {
        step.span.note(Span.Event(event, attributes))
        switch attributes["resolution"]?.stringValue {
        case "did_not_happen" where attributes["next"]?.stringValue != "failure":
            step.isInDoubt = false
            step.nextStart = attributes["next_at"]?.integerValue.map(Timestamp.init(microseconds:)) ?? event.at
            return nil
        case "did_not_happen": return StepEnd("failed", isError: true)
        case "happened": return StepEnd("succeeded")
        case "undo": return StepEnd("to_undo")
        default: return StepEnd("aborted", isError: true)
        }
    }

    // MARK: Approvals

    private func approval(_ step: inout OpenStep, _ event: Event, _ attributes: JSONObject) -> ([Span], StepEnd?) {
        func close(_ outcome: String) -> [Span] {
            step.approval.take().map { [$0.closed(in: traceID, at: event.at, outcome)] } ?? []
        }
        switch event.kind {
        case .approvalRequested:
            let spans = close("superseded")
            step.approval = OpenSpan(
                .begun("approval", by: event, in: run, epoch: epoch), in: step.span.id,
                "approval \(Name.ofOperation(event.subject))",
                from: event.at, [subject(event)] + due(attributes, "expires_at"))
            return (spans, nil)
        case .approvalDecided where attributes["approved"]?.boolValue == true: return (close("approved"), nil)
        case .approvalDecided: return (close("denied"), StepEnd("approval_denied", isError: true))
        case .approvalExpired: return (close("expired"), StepEnd("approval_expired", isError: true))
        case .approvalVoided: return (close("voided"), StepEnd("approval_denied", isError: true))
        case .approvalCancelled: return (close("cancelled"), StepEnd("cancelled"))
        default: return ([], nil)
        }
    }

    func due(_ attributes: JSONObject, _ key: String) -> [TelemetryAttribute] {
        attributes[key]?.integerValue.map {
            [TelemetryAttribute(TraceAttribute.due, Timestamp(microseconds: $0).description)]
        } ?? []
    }
}
