internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

extension PageRoute {
    static let stuck = [
        PageRoute(.get, "/stuck", .view) { .view(try await $0.stuckPage()) },
        PageRoute(.get, "/stuck/{run}", .view) { .view(try await $0.resolutionPage()) },
        PageRoute(.post, "/runs/{run}/resolve", .operate) { try await $0.resolve() },
    ]
}

/// What a person can say of a step that is stuck.
enum StuckChoice: String, CaseIterable, Sendable {
    case happened, absent = "did-not-happen", retry, undo, abort

    /// As a command says it.
    init(_ command: [String]) {
        let words = command.dropFirst(3)
        self =
            command.first == "retry"
            ? .retry
            : words.contains("--happened")
                ? .happened : words.contains("--undo") ? .undo : words.contains("--abort") ? .abort : .absent
    }

    var title: String {
        switch self {
        case .happened: "It happened"
        case .absent: "It did not happen"
        case .retry: "Try again"
        case .undo: "It happened, undo it"
        case .abort: "Give it up"
        }
    }

    fileprivate var consequence: String {
        switch self {
        case .happened: "The run goes on with the result that you give."
        case .absent: "It did not and will not: it is tried again."
        case .retry: "Another attempt is made under the same idempotency key."
        case .undo: "It counts as done with the result that you give, and is undone now."
        case .abort: "It did not happen and will not: the run fails, and undoes what it did before."
        }
    }

    /// - Parameter hasEnded: Of a run that was terminated only what became of it can be said.
    fileprivate func isOffered(_ step: RunView.Step, hasEnded: Bool) -> Bool {
        switch self {
        case .happened: true
        case .absent: step.isInDoubt
        case .retry: !hasEnded
        case .undo: step.isInDoubt && !step.isUndo && !hasEnded && step.irreversible == nil
        case .abort: !step.isUndo && !hasEnded
        }
    }

    fileprivate var takesResult: Bool { self == .happened || self == .undo }
}

/// Steps in doubt and dead letters, and what a person says of them.
extension PageCall {
    private static let mostShown = 100

    fileprivate func stuckPage() async throws -> PageView {
        let (stuck, problems) = try await stuck(limit: Self.mostShown)
        let unread = problems.isEmpty ? "" : " \(problems.count) runs cannot be read: perdure verify says why."
        var model: Model = [
            "lead": .string("Of runs that nothing but a person can move, newest first.\(unread)"),
            "isSure": .bool(problems.isEmpty),
        ]
        model.offer(
            "stuck",
            stuck.map { one in
                var card = stuckItem(one)
                card["sentence"] = .string(one.reason)
                card.offer("message", one.step?.message)
                card["effectText"] = .string(Self.effect(one.step?.effect ?? ""))
                card["hasQuiet"] = .bool(one.step?.quietAfter != nil)
                card["quietAt"] = one.step?.quietAfter.map(JSONValue.init(time:)) ?? ""
                card["quietText"] = .string(one.step?.quietAfter.map(PageTime.short) ?? "")
                card["actionText"] = .string(one.step == nil ? "See the run" : "Settle it")
                return card
            })
        return PageView(template: "stuck", title: "Stuck", place: .stuck, freshness: .polled(3), model: model)
    }

    private static func effect(_ name: String) -> String {
        switch name {
        case EffectKind.atMostOnce.name: "at most once"
        case EffectKind.read.name: "reads only"
        case EffectKind.transactional.name: "in a transaction of the store"
        case "": "the whole run"
        default: name.replacing("_", with: " ")
        }
    }

    // MARK: One step

    fileprivate func resolutionPage() async throws -> PageView {
        let record = try await client.record(try run()), name = query["step"] ?? ""
        let view = try await client.view(of: record.id)
        guard let step = view.stuck(name) ?? view.step(name) else {
            throw Problem(.notFound, "step_unknown", "This run has no step '\(name)'.")
        }
        var intent: Event?
        try await client.readHistory(of: record) { events in
            let begins: EventKind = step.isUndo ? .undoStarted : .stepIntended
            intent = events.last { $0.kind == begins && $0.subject == name } ?? intent
        }
        var model: Model = [
            "workflow": .string(record.workflow), "run": .string(record.id.description), "shortRun": .string(record.id.short),
            "runHref": .string(address(of: record.id)), "step": .string(name), "seen": .string(Self.standing(step)),
            "lead": "Ask the other side first. What you say is recorded with your name, and the run goes on with it.",
            "isOver": .bool(!step.isStuck), "overTitle": "This is settled", "overText": "The step is no longer stuck.",
            "kindText": .string(step.isInDoubt ? "in doubt" : step.isStuck ? "dead letter" : "settled"),
            "tone": .string(step.isInDoubt ? "ask" : step.isStuck ? "bad" : "good"),
        ]
        model["sentences"] = .array(known(step).map(JSONValue.string))
        model.offer("message", step.message)
        var facts = [Self.fact("Effect", Self.effect(step.effect)), Self.fact("Failed attempts", String(step.failedAttempts))]
        if let intent { facts.insert(Self.fact("Sent", "", time: intent.at), at: 0) }
        if let key = intent?.attribute("key")?.stringValue { facts.append(Self.fact("Idempotency key", key)) }
        if let quiet = step.quietAfter { facts.append(Self.fact("The other side may act until", "", time: quiet)) }
        model["facts"] = .array(facts.map(JSONValue.object))
        model.offer("input", ValueText.json(intent?.input).map(JSONText.pretty))
        model["choices"] = .array(step.isStuck && mayOperate ? choices(record, step).map(JSONValue.object) : [])
        return PageView(template: "resolve", title: "What became of ‘\(name)’?", place: .stuck, model: model)
    }

    /// What a decision is about: the step or its undo as its last event left it.
    private static func standing(_ step: RunView.Step) -> String { "\(step.isUndo ? "undo" : "step")-\(step.lastSeq)" }

    private func known(_ step: RunView.Step) -> [String] {
        guard step.isInDoubt else {
            return ["It did not happen: its last attempt failed for sure, and its attempts are used up."]
        }
        var known = ["It may have happened: \(RunExplanation.reason(step.doubt))."]
        if let quiet = step.quietAfter, now < quiet {
            known.append(
                "The other side may still act until \(PageTime.short(quiet)): that it did not happen can be said after that.")
        }
        return known
    }

    private func choices(_ record: RunRecord, _ step: RunView.Step) -> [Model] {
        let wanted = query["choice"].flatMap(StuckChoice.init) ?? (step.isInDoubt ? .happened : .retry)
        let isEarly = step.isInDoubt && step.quietAfter.map { now < $0 } ?? false
        return StuckChoice.allCases.filter { $0.isOffered(step, hasEnded: record.state.isFinal) }.map { choice in
            let hindrance: String? =
                switch choice {
                case .retry where step.isInDoubt && step.effect == EffectKind.atMostOnce.name:
                    "It is done at most once: somebody has to say what became of it first."
                case .absent where isEarly, .abort where isEarly: "The last attempt may still act. Come again later."
                default: nil
                }
            var model: Model = [
                "choice": .string(choice.rawValue), "title": .string(choice.title),
                "consequence": .string(
                    record.state.isFinal ? "It is recorded. The run has ended, and does nothing more." : choice.consequence),
                "buttonText": .string(choice.title), "action": .string("\(address(of: record.id))/resolve"),
                "takesResult": .bool(choice.takesResult), "takesReason": .bool(choice != .retry),
                "isDanger": .bool(choice == .abort),
                "isAllowed": .bool(hindrance == nil), "isOpen": .bool(choice == wanted),
            ]
            model["hindrance"] = .string(hindrance ?? "")
            return model
        }
    }

    fileprivate func resolve() async throws -> PageAnswer {
        let run = try run(), step = try form.required("step"), id = try messageID()
        let result = form["result"] == nil ? nil : try json("result"), reason = form.text("reason")
        guard let choice = StuckChoice(rawValue: try form.required("resolution")) else {
            throw Problem(.badRequest, "form_invalid", "'resolution' is none of those that there are.")
        }
        // Somebody else may have settled it, and it may be stuck anew: that is another question.
        guard let stuck = try await client.view(of: run).stuck(step), Self.standing(stuck) == form["seen"] else {
            return .see(Self.link("\(base)/stuck/\(run)", [("step", step)]), .stale)
        }
        let resolution: StepResolution
        switch choice {
        case .retry:
            try await client.retry(run, step: step, id: id, by: caller)
            return .see(address(of: run), .accepted)
        case .happened: resolution = .happened(result: result)
        case .undo: resolution = .undo(result: result)
        case .absent: resolution = .didNotHappen
        case .abort: resolution = .abort
        }
        try await client.resolve(run, step: step, resolution, reason: reason, id: id, by: caller)
        return .see(address(of: run), .resolved)
    }
}
