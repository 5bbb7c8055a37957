internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let interventions = [PageRoute(.get, "/interventions", .view) { .view(try await $0.interventions()) }]
}

/// What people and programs did to runs, as the histories of the runs have it. No table lists them: the newest runs are read, a page of
/// them at a time.
extension PageCall {
    private static let runsAtOnce = 50
    private static let mostEvents = 2_000
    private static let shown = 200

    fileprivate func interventions() async throws -> PageView {
        let before = query["before"].flatMap(Int64.init)
        let (runs, _) = try await client.readable(RunFilter(namespace: namespace, before: before, limit: Self.runsAtOnce))
        var found: [(record: RunRecord, event: Event)] = [], omitted = 0
        for record in runs {
            do {
                let events = try await client.guarded {
                    try await client.store.events(of: record.number, before: .max, limit: Self.mostEvents)
                }
                if let oldest = events.last, oldest.seq > 1 { omitted += 1 }
                found += events.filter(Self.isIntervention).map { (record, $0) }
            } catch let error as PerdureError where error.isAboutOneHistory {
                omitted += 1
            }
        }
        found.sort { $0.event.at > $1.event.at }
        let here = "\(base)/interventions", last = runs.count == Self.runsAtOnce ? runs.last?.number : nil
        var model: Model = [
            "lead": .string(
                "What people and programs did to \(runs.count) runs, newest first."
                    + (omitted > 0 ? " Of \(omitted) of them not all was read: they are long, or damaged." : "")
                    + (found.count > Self.shown ? " The newest \(Self.shown) of \(found.count)." : "")),
            "hasFirst": .bool(before != nil), "firstHref": .string(here), "hasNext": .bool(last != nil),
            "nextHref": .string(last.map { "\(here)?before=\($0)" } ?? ""),
        ]
        model.offer("interventions", found.prefix(Self.shown).map { row($0.record, $0.event) })
        return PageView(template: "interventions", title: "Interventions", place: .interventions, model: model)
    }

    private static func isIntervention(_ event: Event) -> Bool {
        switch event.kind {
        case .operatorAction, .approvalDecided, .questionAnswered, .stepResolved, .undoResolved, .runTerminated, .runPaused,
            .runUnpaused,
            .runRepinned, .runReset, .runForked, .runCancelRequested, .runLossSettled, .runRestored:
            event.attribute("by").flatMap(Principal.init) != nil
        default: false
        }
    }

    private func row(_ record: RunRecord, _ event: Event) -> Model {
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        let who = attributes["by"].flatMap(Principal.init)
        let refusal = attributes["refused"] == nil ? nil : attributes["message"]?.stringValue ?? "refused"
        let subject = event.subject.isEmpty ? "" : " ‘\(event.subject)’"
        var row: Model = [
            "who": .string(who.map { "\($0.kind.rawValue) \($0.id)" } ?? "somebody"),
            "authentication": .string(who.map { $0.authentication.isEmpty ? "unauthenticated" : $0.authentication } ?? ""),
            "what": .string(Self.what(event, attributes) + subject), "href": .string(replayHref(record.id, event.seq)),
            "run": .string(record.id.description), "shortRun": .string(record.id.short),
            "runHref": .string(address(of: record.id)),
            "workflow": .string(record.workflow), "tone": .string(refusal == nil ? "good" : "bad"),
            "outcome": .string(refusal == nil ? "done" : "refused"),
        ]
        row.set(event.at, as: "at", text: "atText")
        row.offer("reason", attributes["reason"]?.stringValue)
        row.offer("refusal", refusal)
        return row
    }

    private static func what(_ event: Event, _ attributes: JSONObject) -> String {
        switch event.kind {
        case .operatorAction: attributes["action"]?.stringValue ?? "action"
        case .approvalDecided: attributes["approved"]?.boolValue == true ? "approved" : "denied"
        case .questionAnswered: "answered"
        case .stepResolved: "settled"
        case .undoResolved: "settled the undo of"
        default: String(event.kind.rawValue.dropFirst("run.".count)).replacing("_", with: " ")
        }
    }
}
