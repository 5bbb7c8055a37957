internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let run = [
        PageRoute(.get, "/runs/{run}", .view) { .view(try await $0.runPage()) },
        PageRoute(.get, "/runs/{run}/history", .view) { .view(try await $0.historyPage()) },
    ]
}

/// One run: where it stands and why, its timeline, its values, its history.
extension PageCall {
    private static let newestEvents = 50
    /// Above it a page is not made anew at each event, and the chain is not verified each time.
    static let longHistory = 5_000

    fileprivate func runPage() async throws -> PageView {
        let run = try run()
        let (record, explanation) = try await client.explain(run, now: now)
        var timeline = Timeline(), view = RunView(), newest: [Event] = [], count: Int64 = 0
        try await client.readHistory(of: record) { events in
            for event in events { timeline.add(event) }
            view.add(events)
            count = events.last?.seq ?? count
            newest = Array((newest + events).suffix(Self.newestEvents))
        }
        let labels = try await client.guarded { try await client.store.labels(of: [record.number])[record.number] } ?? [:]
        var model = Self.state(record.stateName)
        model["workflow"] = .string(record.workflow)
        model["version"] = .string(record.version)
        model["workflowHref"] = .string(Self.link("\(base)/runs", [("workflow", record.workflow)]))
        model["run"] = .string(run.description)
        model["facts"] = .array(facts(record, view).map(JSONValue.object))
        model.offer("labels", labels.sorted { $0.key < $1.key }.map(label))
        addActions(record, to: &model)
        addStanding(record, explanation, to: &model)
        addOpenWork(record, view, to: &model)
        model["hasTimeline"] = .bool(!timeline.isEmpty)
        model["noTimeline"] = "Nothing has happened in it yet."
        model["span"] = .string(ReadableTime.span((record.closedAt ?? now).duration(since: record.createdAt)))
        for member in timeline.model(now: now, href: { eventHref(run, $0) }).members { model[member.key] = member.value }
        addValues(record, view, to: &model)
        model.offer("tree", tree(record, view))
        try await addHistory(record, newest, count, to: &model)
        let freshness: PageView.Freshness =
            record.state.endsWaits ? .fixed : count > Self.longHistory ? .polled(10) : .followed(run, after: count)
        return PageView(
            template: "run", title: "\(record.workflow) \(record.id.short)", place: .runs, freshness: freshness, model: model)
    }

    // MARK: Head

    private func label(_ label: (key: String, value: String)) -> Model {
        [
            "name": .string(label.key), "value": .string(label.value),
            "href": .string(Self.link("\(base)/runs", [("label", "\(label.key)=\(label.value)")])),
        ]
    }

    private func facts(_ record: RunRecord, _ view: RunView) -> [Model] {
        var facts = [
            Self.fact("Started", "", time: record.createdAt, detail: view.starter.map { "by \(RunExplanation.name($0))" })
        ]
        if let closed = record.closedAt {
            facts.append(
                Self.fact(
                    "Ended", "", time: closed, detail: "after \(ReadableTime.span(closed.duration(since: record.createdAt)))"))
        }
        if let wake = record.wakeAt, record.state == .waiting { facts.append(Self.fact("Due", "", time: wake)) }
        if let deadline = view.deadline { facts.append(Self.fact("Deadline", "", time: deadline)) }
        if let key = record.key { facts.append(Self.fact("Key", key)) }
        if let parent = view.parent {
            facts.append(Self.fact("Parent", parent.run.short, href: address(of: parent.run), detail: "as '\(parent.subject)'"))
        }
        if let origin = view.continues {
            facts.append(Self.fact("Continues", origin.run.short, href: address(of: origin.run)))
        }
        if let successor = record.successor {
            facts.append(Self.fact("Continued as", successor.short, href: address(of: successor)))
        }
        if view.takeovers > 0 {
            facts.append(
                Self.fact("Taken over", "\(view.takeovers) \(view.takeovers == 1 ? "time" : "times")", detail: "its process died")
            )
        }
        return facts
    }

    private func addActions(_ record: RunRecord, to model: inout Model) {
        func action(_ action: RunAction) -> Model {
            [
                "href": .string("\(address(of: record.id))/\(action.rawValue)"), "label": .string(action.label),
                "isDanger": .bool(action.isDangerous), "isConfirmed": true,
            ]
        }
        let isOpen = !record.state.isFinal && record.state != .quarantined && mayOperate
        model["hasActions"] = .bool(isOpen)
        model["actions"] = .array(
            (isOpen ? [record.state == .paused ? .unpause : .pause, .cancel] : []).map { .object(action($0)) })
        model.offer("moreActions", (isOpen ? [.signal, .retry, .repin, .terminate] : []).map(action))
    }

    private func addStanding(_ record: RunRecord, _ explanation: RunExplanation, to model: inout Model) {
        let title: String, tone: String
        switch record.state {
        case .completed: (title, tone) = ("It completed", "good")
        case .failed, .terminated: (title, tone) = ("How it ended", "bad")
        case .cancelled: (title, tone) = ("How it ended", "plain")
        case .running, .ready: (title, tone) = ("What it does", "accent")
        case .blocked, .parked, .quarantined: (title, tone) = ("Why it is not moving", "bad")
        default: (title, tone) = ("Why it is not moving", "ask")
        }
        model["standingTitle"] = .string(title)
        model["standingTone"] = .string(tone)
        model["sentences"] = .array(explanation.sentences.map(JSONValue.string))
        // Whoever decides can refuse there too.
        let moves = explanation.moves.filter { $0.command.first != "deny" }
        model.offer("moves", moves.enumerated().map { move($1, isFirst: $0 == 0) })
    }

    private func addOpenWork(_ record: RunRecord, _ view: RunView, to model: inout Model) {
        let approvals = view.openApprovals.map { step -> Model in
            [
                "href": .string(Self.link("\(base)/approvals/\(record.id)", [("step", step.subject)])),
                "title": .string(step.subject),
                "summary": .string(
                    (try? JSONValue.parse(step.approval?.view ?? [], what: "the view"))?["input"]?.shortText(limit: 200) ?? ""),
                "kindText": "approval", "who": .string("for \(step.approval?.approver ?? "somebody")"),
                "at": JSONValue(time: step.approval?.requestedAt ?? record.createdAt),
                "age": .string(step.approval.map { PageTime.age($0.requestedAt, now: now) } ?? ""),
            ]
        }
        let questions = view.openQuestions.map { question -> Model in
            [
                "href": .string(Self.link("\(base)/questions/\(record.id)", [("question", question.subject)])),
                "title": .string(question.subject), "summary": .string(question.text), "kindText": "question",
                "who": .string("for \(question.approver)"), "at": JSONValue(time: question.askedAt),
                "age": .string(PageTime.age(question.askedAt, now: now)),
            ]
        }
        model.offer("asks", approvals + questions)
        model.offer(
            "stuck", view.stuckSteps.map { stuckItem(Stuck(record: record, step: $0, reason: Self.reason($0))) })
    }

    // MARK: Values

    private func addValues(_ record: RunRecord, _ view: RunView, to model: inout Model) {
        model.offer("input", ValueText.json(view.started?.input).map(JSONText.pretty))
        let attributes = (try? view.final?.attributes.object()).flatMap(\.self)
        let error = record.state == .failed ? attributes : nil
        model["hasError"] = .bool(error != nil)
        model["errorCode"] = .string(error?["code"]?.stringValue ?? "error")
        model["errorMessage"] = .string(error?["message"]?.stringValue ?? "")
        let result = record.state == .completed ? ValueText.json(view.final?.output).map(JSONText.pretty) : nil
        model.offer("result", result)
        model["hasNoOutcome"] = .bool(error == nil && result == nil)
        model["noOutcome"] = .string(record.state.isFinal ? "It has none: it was \(record.stateName)." : "It has not ended yet.")
    }

    private func tree(_ record: RunRecord, _ view: RunView) -> [Model] {
        guard view.parent != nil || !view.children.isEmpty else { return [] }
        func branch(_ run: RunID, _ workflow: String, _ version: String, _ subject: String, _ state: String, _ depth: Int)
            -> Model
        {
            var branch = Self.state(state)
            branch["href"] = .string(address(of: run))
            branch["workflow"] = .string(workflow)
            branch["version"] = .string(version)
            branch["subject"] = .string(subject)
            branch["run"] = .string(run.description)
            branch["shortRun"] = .string(run.short)
            branch["depth"] = JSONValue(depth)
            branch["isHere"] = .bool(run == record.id)
            return branch
        }
        let depth = view.parent == nil ? 0 : 1
        var tree = view.parent.map { [branch($0.run, "parent", "", "", "running", 0)] } ?? []
        if !tree.isEmpty { tree[0]["stateText"] = "" }
        tree.append(branch(record.id, record.workflow, record.version, "", record.stateName, depth))
        tree += view.children.prefix(100).map { child in
            let state = child.isOpen ? "running" : child.hasHappened ? "completed" : "terminated"
            var branch = branch(child.run, child.workflow, child.version, child.subject, state, depth + 1)
            // Its own page tells how it ended.
            if !child.isOpen, !child.hasHappened { branch["stateText"] = "ended" }
            return branch
        }
        return tree
    }

    // MARK: History

    private func addHistory(_ record: RunRecord, _ newest: [Event], _ count: Int64, to model: inout Model) async throws {
        let start = record.createdAt
        model["historyText"] = .string("\(count) \(count == 1 ? "event" : "events")")
        model["replayHref"] = .string(replayHref(record.id, count))
        model["events"] = .array(newest.reversed().map { .object(event($0, of: record, start: start)) })
        model.offer("older", newest.first.flatMap { $0.seq > 1 ? "\(address(of: record.id))/history?before=\($0.seq)" : nil })
        model["olderHref"] = model["older"] ?? ""
        let report = count > Self.longHistory ? nil : try await client.verification(of: record).report
        model["proofTone"] = .string(report.map { $0.isSound ? "good" : "bad" } ?? "plain")
        model["proof"] = .string(
            report.map { $0.isSound ? "The chain holds over \($0.eventCount) events." : "The history does not hold together." }
                ?? "perdure verify \(record.id) checks this long history.")
        model["hasProblems"] = .bool(report?.isSound == false)
        model["problems"] = .array((report?.problems ?? []).prefix(20).map { .string($0.message) })
    }

    func eventHref(_ run: RunID, _ seq: Int64) -> String { replayHref(run, seq) }
    func replayHref(_ run: RunID, _ seq: Int64) -> String { "\(address(of: run))/replay?at=\(seq)" }

    func event(_ event: Event, of record: RunRecord, start: Timestamp) -> Model {
        let attributes = (try? event.attributes.object()).map(JSONValue.object) ?? .string(event.attributes.text)
        var model: Model = [
            "seq": .integer(event.seq), "at": JSONValue(time: event.at), "atText": .string(PageTime.short(event.at)),
            "offset": .string(ReadableTime.offset(event.at, from: start)), "kind": .string(event.kind.rawValue),
            "subject": .string(event.subject.isEmpty ? "run" : event.subject),
            "sentence": .string(EventSentence.text(event, start: start)), "tone": .string(EventSentence.tone(event).pageClass),
            "replayHref": .string(replayHref(record.id, event.seq)), "attributes": .string(JSONText.pretty(attributes)),
            "hash": .string(event.hash.description),
        ]
        model.offer("input", ValueText.json(event.input).map(JSONText.pretty))
        model.offer("output", ValueText.json(event.output).map(JSONText.pretty))
        return model
    }

    private static let historyPage = 100

    fileprivate func historyPage() async throws -> PageView {
        let record = try await client.record(try run())
        let before = query["before"].flatMap(Int64.init) ?? Int64.max
        let events = try await client.guarded {
            try await client.store.events(of: record.number, before: before, limit: Self.historyPage)
        }
        let here = "\(address(of: record.id))/history"
        var model: Model = [
            "runHref": .string(address(of: record.id)), "workflow": .string(record.workflow),
            "shortRun": .string(record.id.short),
            "historyText": .string(events.first.map { "Events \(events.last?.seq ?? $0.seq) to \($0.seq), newest first." } ?? ""),
            "replayHref": .string(replayHref(record.id, events.first?.seq ?? 1)),
        ]
        model.offer("events", events.map { event($0, of: record, start: record.createdAt) })
        let oldest = events.last?.seq ?? 1
        model["hasOlder"] = .bool(oldest > 1)
        model["olderHref"] = .string("\(here)?before=\(oldest)")
        let newer = (events.first?.seq ?? 0) + Int64(Self.historyPage) + 1
        let last = try await client.guarded { try await client.store.lastSeqs(of: [record.number])[record.number] } ?? 0
        model["hasNewer"] = .bool((events.first?.seq ?? 0) < last)
        model["newerHref"] = .string("\(here)?before=\(newer)")
        return PageView(template: "history", title: "History of \(record.id.short)", place: .runs, model: model)
    }
}

extension TimelineText.Tone {
    /// Its class in the style sheet.
    var pageClass: String {
        switch self {
        case .plain: "plain"
        case .good: "good"
        case .bad: "bad"
        case .attention: "ask"
        }
    }
}
