internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let replay = [PageRoute(.get, "/runs/{run}/replay", .view) { .view(try await $0.replay()) }]
}

/// A history event by event: what the run knew at each moment, and nothing that came later.
extension PageCall {
    private static let nearby: Int64 = 7
    private static let mostAnswers = 100

    fileprivate func replay() async throws -> PageView {
        let record = try await client.record(try run())
        // Beyond the end is the end.
        let end = try await client.guarded { try await client.store.lastSeqs(of: [record.number])[record.number] } ?? 1
        let wanted = min(max(1, query["at"].flatMap(Int64.init) ?? 1), end)
        var moment = Moment(), around: [Event] = [], count: Int64 = 0, here: Event?
        try await client.readHistory(of: record) { events in
            for event in events {
                count = event.seq
                if event.seq <= wanted {
                    moment.add(event)
                    here = event
                }
                if abs(event.seq - wanted) <= Self.nearby { around.append(event) }
            }
        }
        guard let here else { throw Problem(.notFound, "address_unknown", "The run has no such event.") }
        let start = record.createdAt, at = here.seq
        var model: Model = [
            "runHref": .string(address(of: record.id)), "workflow": .string(record.workflow),
            "shortRun": .string(record.id.short),
            "run": .string(record.id.description), "replayHref": .string("\(address(of: record.id))/replay"), "at": .integer(at),
            "count": .integer(count), "hasPrevious": .bool(at > 1), "hasNext": .bool(at < count),
            "firstHref": .string(replayHref(record.id, 1)), "previousHref": .string(replayHref(record.id, max(1, at - 1))),
            "nextHref": .string(replayHref(record.id, min(count, at + 1))), "lastHref": .string(replayHref(record.id, count)),
            "raw": .string(JSONText.pretty(RunJSON.event(here))),
        ]
        for member in Self.state(moment.state).members { model[member.key] = member.value }
        for member in line(here, start).members where member.key != "href" { model[member.key] = member.value }
        model["kind"] = .string(here.kind.rawValue)
        model["offset"] = .string(ReadableTime.offset(here.at, from: start))
        model.set(here.at, as: "eventAt", text: "eventAtText")
        model.offer("outstanding", moment.outstanding(since: start))
        model.offer(
            "answers",
            moment.answers.suffix(Self.mostAnswers).map { answer in
                [
                    "name": .string(answer.name), "answer": .string(answer.text), "seq": .integer(answer.seq),
                    "href": .string(replayHref(record.id, answer.seq)),
                ]
            })
        model["nearby"] = .array(
            around.map { event in
                var near = line(event, start)
                near["isHere"] = .bool(event.seq == at)
                near["href"] = .string(replayHref(record.id, event.seq))
                return .object(near)
            })
        let freshness: PageView.Freshness =
            record.state.endsWaits || count > Self.longHistory ? .fixed : .followed(record.id, after: count)
        return PageView(
            template: "replay", title: "Replay of \(record.workflow), event \(at)", place: .runs, freshness: freshness,
            model: model)
    }

    private func line(_ event: Event, _ start: Timestamp) -> Model {
        [
            "seq": .integer(event.seq), "subject": .string(event.subject.isEmpty ? "run" : event.subject),
            "sentence": .string(EventSentence.text(event, start: start)), "tone": .string(EventSentence.tone(event).pageClass),
        ]
    }
}

/// What a history says up to some event.
private struct Moment {
    struct Answer {
        let name: String
        let text: String
        let seq: Int64
    }

    private(set) var answers: [Answer] = []
    private var view = RunView()
    /// When each operation that is open began, and with which event.
    private var begun: [String: Timestamp] = [:]
    private var isWaiting = false

    mutating func add(_ event: Event) {
        view.add(event)
        if begun[event.subject] == nil { begun[event.subject] = event.at }
        let name = event.subject.isEmpty ? "run" : event.subject
        switch event.kind {
        case .stepSucceeded, .undoSucceeded, .childCompleted, .questionAnswered:
            answers.append(Answer(name: name, text: ValueText.short(event.output, limit: 120) ?? "done", seq: event.seq))
        case .timerFired: answers.append(Answer(name: name, text: "time is up", seq: event.seq))
        case .signalReceived:
            answers.append(Answer(name: name, text: ValueText.short(event.input, limit: 120) ?? "received", seq: event.seq))
        case .stepFailed, .childFailed, .undoFailed:
            answers.append(Answer(name: name, text: "failed", seq: event.seq))
        case .approvalDecided:
            answers.append(
                Answer(name: name, text: event.attribute("approved")?.boolValue == true ? "approved" : "denied", seq: event.seq))
        default: break
        }
    }

    /// As far as the history tells.
    var state: String {
        if let final = view.final { return String(final.kind.rawValue.dropFirst("run.".count)) }
        if view.isPaused { return "paused" }
        if view.blockedReason != nil { return "blocked" }
        if view.parkedReason != nil { return "parked" }
        return view.openTimers.isEmpty && view.openApprovals.isEmpty && view.openQuestions.isEmpty && view.stuckSteps.isEmpty
            ? "running" : "waiting"
    }

    func outstanding(since start: Timestamp) -> [Model] {
        func row(_ name: String, _ kind: String, _ attempt: String, _ standing: String) -> Model {
            [
                "name": .string(name), "kindText": .string(kind), "attempt": .string(attempt),
                "since": .string(begun[name].map { ReadableTime.offset($0, from: start) } ?? ""), "standing": .string(standing),
            ]
        }
        guard view.final == nil else { return [] }
        let steps = view.steps.filter { !$0.isOver }.map { step in
            let standing =
                step.isInDoubt
                ? "in doubt"
                : step.approval?.isOpen == true
                    ? "waits for approval"
                    : step.isExhausted ? "gave up" : step.nextAt != nil ? "waits to try again" : "under way"
            return row(step.subject, step.isUndo ? "undo" : "step", String(step.failedAttempts + 1), standing)
        }
        return steps + view.openTimers.map { row($0.subject, "timer", "", $0.due.map { "until \(PageTime.short($0))" } ?? "") }
            + view.openQuestions.map { row($0.subject, "question", "", "asked of \($0.approver)") }
            + view.children.filter(\.isOpen).map { row($0.subject, "child run", "", "runs") }
    }
}
