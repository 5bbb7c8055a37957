internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory

extension PageRoute {
    static let schedules =
        [PageRoute(.get, "/schedules", .view) { .view(try await $0.schedules()) }]
        + ScheduleAction.allCases.flatMap { action in
            [
                PageRoute(.get, "/schedules/\(action.rawValue)", .view) { .view(try $0.confirmation(of: action)) },
                PageRoute(.post, "/schedules/\(action.rawValue)", .operate) { try await $0.perform(action) },
            ]
        }
}

private enum ScheduleAction: String, CaseIterable, Sendable {
    case pause, resume

    var label: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }

    var consequence: String {
        switch self {
        case .pause: "Nothing is started by it until somebody resumes it. Runs that are open go on."
        case .resume: "It starts runs again from its next due time. What was due meanwhile is passed over."
        }
    }
}

extension PageCall {
    private static let pageSize = 50
    private static let shownTimes = 3

    fileprivate func schedules() async throws -> PageView {
        let (all, next) = try await client.schedulePage(
            in: namespace, after: query["after"].map { (namespace, $0) }, limit: Self.pageSize)
        let last = next?.id
        var model: Model = ["lead": "What starts runs by itself, and when.", "hasNext": .bool(last != nil)]
        model["nextHref"] = .string(last.map { Self.link("\(base)/schedules", [("after", $0)]) } ?? "")
        model.offer("schedules", all.map(card))
        return PageView(template: "schedules", title: "Schedules", place: .schedules, freshness: .polled(10), model: model)
    }

    private func card(_ info: ScheduleInfo) -> Model {
        let standing =
            info.trouble != nil ? "in trouble" : info.pausedAt != nil ? "paused" : info.openRuns.isEmpty ? "waits" : "runs"
        var card: Model = [
            "name": .string(info.id), "workflow": .string(info.schedule.workflow),
            "rule": .string(info.schedule.spec.description), "hasZone": false, "zone": "", "hasRuleWords": false, "ruleWords": "",
            "tone": .string(info.trouble != nil ? "bad" : info.pausedAt != nil ? "ask" : "good"), "standing": .string(standing),
            "isPaused": .bool(info.pausedAt != nil),
            "pauseText": .string(
                "Paused by \(info.pausedBy?.id ?? "somebody")\(info.pauseNote.map { $0.isEmpty ? "" : ": \($0)" } ?? "")."),
            "policy": .string("While a run is open: \(info.schedule.overlap.rawValue)."),
            "counts": .string("\(info.started) started, \(info.skipped) passed over, \(info.missed) missed"),
            "canPause": .bool(info.pausedAt == nil && mayOperate), "canResume": .bool(info.pausedAt != nil && mayOperate),
        ]
        card.offer("trouble", info.trouble)
        let times = info.pausedAt == nil ? Self.times(info.schedule.spec, after: now) : []
        card.offer(
            "nextTimes",
            times.map { ["at": JSONValue(time: $0), "text": .string(PageTime.short($0))] })
        card["hasLast"] = .bool(info.lastRun != nil)
        card["lastHref"] = .string(info.lastRun.map { address(of: $0.run) } ?? "")
        card["lastAt"] = info.lastRun.map { JSONValue(time: Timestamp($0.due)) } ?? ""
        card["lastText"] = .string(info.lastRun.map { PageTime.short(Timestamp($0.due)) } ?? "")
        for action in ScheduleAction.allCases {
            card["\(action.rawValue)Href"] = .string(Self.link("\(base)/schedules/\(action.rawValue)", [("schedule", info.id)]))
        }
        return card
    }

    private static func times(_ spec: ScheduleSpec, after now: Timestamp) -> [Timestamp] {
        var times: [Timestamp] = []
        while times.count < shownTimes, let next = spec.next(after: (times.last ?? now).date) {
            times.append(Timestamp(next))
        }
        return times
    }

    fileprivate func confirmation(of action: ScheduleAction) throws -> PageView {
        let name = try query.required("schedule")
        let note = RunAction.field("note", "Note", "Why, for whoever wonders.", isOptional: true, kind: "isArea")
        return confirm(
            "\(action.label) schedule \(name)?", action.consequence, button: action.label, fields: action == .pause ? [note] : [],
            hidden: [("schedule", name)], action: "\(base)/schedules/\(action.rawValue)",
            back: ("\(base)/schedules", "Back to the schedules"), place: .schedules)
    }

    fileprivate func perform(_ action: ScheduleAction) async throws -> PageAnswer {
        let name = try form.required("schedule")
        switch action {
        case .pause:
            try await client.pauseSchedule(name, note: form.text("note") ?? "", in: namespace, by: caller)
            return .see("\(base)/schedules", .paused)
        case .resume:
            try await client.resumeSchedule(name, in: namespace, by: caller)
            return .see("\(base)/schedules", .resumed)
        }
    }
}
