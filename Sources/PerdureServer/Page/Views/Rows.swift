internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

// What several pages show in the same way.
extension PageCall {
    static func state(_ name: String) -> Model { ["state": .string(name), "stateText": .string(name)] }

    func row(_ record: RunRecord) -> Model {
        var row = Self.state(record.stateName)
        row["href"] = .string(address(of: record.id))
        row["workflow"] = .string(record.workflow)
        row["version"] = .string(record.version)
        row["run"] = .string(record.id.description)
        row["shortRun"] = .string(record.id.short)
        row.offer("key", record.key)
        row.set(record.createdAt, as: "startedAt", text: "startedText")
        let change = record.closedAt ?? (record.state == .waiting ? record.wakeAt : nil)
        row["hasChanged"] = .bool(change != nil)
        row["changedAt"] = change.map(JSONValue.init(time:)) ?? ""
        row["changedText"] = .string(change.map { PageTime.age($0, now: now) } ?? "")
        row.offer("note", record.note)
        return row
    }

    /// An approval or question that is open.
    func ask(_ request: OpenRequest) -> Model {
        let isApproval = request.event.kind == .approvalRequested
        let attributes = (try? request.event.attributes.object()) ?? JSONObject()
        let value = ValueText.json(request.event.input)
        let summary = isApproval ? value?["input"]?.shortText(limit: 200) ?? "" : value?.stringValue ?? ""
        var ask: Model = [
            "href": .string(askHref(request.run.id, request.event)), "title": .string(request.event.subject),
            "summary": .string(summary), "kindText": isApproval ? "approval" : "question",
            "who": .string("\(request.run.workflow), for \(attributes["approver"]?.stringValue ?? "somebody")"),
            "age": .string(PageTime.age(request.event.at, now: now)), "at": JSONValue(time: request.event.at),
        ]
        ask["runHref"] = .string(address(of: request.run.id))
        ask["run"] = .string(request.run.id.description)
        ask["shortRun"] = .string(request.run.id.short)
        ask["workflow"] = .string(request.run.workflow)
        return ask
    }

    func askHref(_ run: RunID, _ event: Event) -> String {
        event.kind == .approvalRequested
            ? Self.link("\(base)/approvals/\(run)", [("step", event.subject)])
            : Self.link("\(base)/questions/\(run)", [("question", event.subject)])
    }

    // MARK: What is stuck

    /// A step of a run that only a person can move, or a run that is parked for another reason.
    struct Stuck: Sendable {
        let record: RunRecord
        let step: RunView.Step?
        let reason: String
    }

    /// Those of the runs that are parked, newest first.
    func stuck(limit: Int) async throws -> (stuck: [Stuck], problems: [String]) {
        var (runs, problems) = try await client.readable(RunFilter(namespace: namespace, states: [.parked], limit: limit))
        var found: [Stuck] = []
        for record in runs {
            do {
                let view = try await client.view(of: record.id)
                let steps = view.stuckSteps.map { Stuck(record: record, step: $0, reason: Self.reason($0)) }
                found +=
                    steps.isEmpty ? [Stuck(record: record, step: nil, reason: record.note ?? view.parkedReason ?? "")] : steps
            } catch let error as PerdureError where error.isAboutOneHistory {
                problems.append("Run \(record.id): \(error.message)")
            }
        }
        return (found, problems)
    }

    static func reason(_ step: RunView.Step) -> String {
        step.isInDoubt ? "In doubt: \(RunExplanation.reason(step.doubt))." : "Its attempts are used up, and it did not happen."
    }

    func stuckItem(_ stuck: Stuck) -> Model {
        let step = stuck.step
        let since = step?.lastAt ?? stuck.record.createdAt
        let kind = step.map { $0.isInDoubt ? "in doubt" : "dead letter" } ?? "parked"
        return [
            "href": .string(
                step.map { Self.link("\(base)/stuck/\(stuck.record.id)", [("step", $0.subject)]) }
                    ?? address(of: stuck.record.id)),
            "title": .string(step.map { "\($0.isUndo ? "undo of " : "")\($0.subject)" } ?? "The whole run"),
            "summary": .string([stuck.reason, step?.message ?? ""].filter { !$0.isEmpty }.joined(separator: " ")),
            "kindText": .string(kind), "tone": step?.isInDoubt == true ? "ask" : "bad",
            "workflow": .string(stuck.record.workflow),
            "at": JSONValue(time: since), "age": .string(PageTime.age(since, now: now)),
            "run": .string(stuck.record.id.description), "shortRun": .string(stuck.record.id.short),
            "runHref": .string(address(of: stuck.record.id)),
        ]
    }

    // MARK: Facts

    /// One line of a list of names and values.
    static func fact(_ name: String, _ text: String, href: String? = nil, time: Timestamp? = nil, detail: String? = nil) -> Model
    {
        var fact: Model = [
            "name": .string(name), "text": .string(time.map(PageTime.short) ?? text), "isTime": .bool(time != nil),
            "isLink": .bool(href != nil), "isPlain": .bool(time == nil && href == nil), "href": .string(href ?? ""),
            "at": time.map(JSONValue.init(time:)) ?? "",
        ]
        fact.offer("detail", detail)
        return fact
    }
}
