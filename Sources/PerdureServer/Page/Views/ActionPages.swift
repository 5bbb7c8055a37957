internal import HTTPTypes
internal import Perdure
internal import PerdureCommands
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// What a person can do to a run that takes a confirmation.
enum RunAction: String, CaseIterable, Sendable {
    case cancel, terminate, pause, unpause, signal, retry, repin

    var label: String {
        switch self {
        case .cancel: "Cancel"
        case .terminate: "Terminate"
        case .pause: "Pause"
        case .unpause: "Resume"
        case .signal: "Send a signal"
        case .retry: "Try again"
        case .repin: "Change version"
        }
    }

    fileprivate func question(_ workflow: String) -> String {
        switch self {
        case .signal: "Send a signal to this run of \(workflow)?"
        case .retry: "Let this run of \(workflow) try again?"
        case .repin: "Move this run of \(workflow) to another version?"
        default: "\(label) this run of \(workflow)?"
        }
    }

    var isDangerous: Bool { self == .cancel || self == .terminate }

    fileprivate var consequence: String {
        switch self {
        case .cancel: "Its code is told to end, and undoes what it has done. What is under way ends first."
        case .terminate: "It ends at once, without its code. Nothing is undone, and what may have happened is in doubt."
        case .pause: "Nothing more of it is started until it is resumed. What is under way ends and is recorded."
        case .unpause: "It goes on where it was."
        case .signal: "The run takes it in when it waits for it. If it never does, the history says so at the end."
        case .retry: "A run that took its process down, or that is blocked, is tried once more."
        case .repin:
            "The run goes on with the code of another version. If that does not fit its history, it is blocked, and nothing is lost."
        }
    }

    fileprivate var fields: [Model] {
        switch self {
        case .terminate, .pause: [Self.field("reason", "Reason", "Recorded in the history.", isOptional: true, kind: "isArea")]
        case .signal:
            [
                Self.field("name", "Signal", "As the workflow calls it.", kind: "isLine"),
                Self.field("payload", "Payload", "JSON. null for none.", value: "null", kind: "isJSON"),
            ]
        case .repin: [Self.field("version", "Version", "Such as 1.2; a process has to host it.", kind: "isLine")]
        case .cancel, .unpause, .retry: []
        }
    }

    static func field(
        _ name: String, _ label: String, _ hint: String, value: String = "", isOptional: Bool = false, kind: String
    ) -> Model {
        var field: Model = [
            "name": .string(name), "label": .string(label), "hint": .string(hint), "value": .string(value),
            "isOptional": .bool(isOptional), "hasError": false, "error": "", "options": [],
        ]
        for other in ["isLine", "isArea", "isJSON", "isChoice"] { field[other] = .bool(other == kind) }
        return field
    }
}

extension PageRoute {
    static let actions =
        RunAction.allCases.flatMap { action in
            let path = "/runs/{run}/\(action.rawValue)"
            return [
                PageRoute(.get, path, .view) { .view(try await $0.confirmation(of: action)) },
                PageRoute(.post, path, .operate) { try await $0.perform(action) },
            ]
        } + [PageRoute(.post, PageRoute.actAs, .view) { try $0.become() }]
}

extension PageCall {
    fileprivate func confirmation(of action: RunAction) async throws -> PageView {
        let record = try await client.record(try run())
        return confirm(
            action.question(record.workflow), action.consequence, button: action.label,
            isDanger: action.isDangerous, fields: action.fields, action: "\(address(of: record.id))/\(action.rawValue)",
            back: (address(of: record.id), "Back to the run"), place: .runs)
    }

    fileprivate func become() throws -> PageAnswer {
        let person = try form.required("person")
        guard Name.isKey(person) else { throw Problem(.badRequest, "name_invalid", "The name \(TextRule.key.wish).") }
        return .become(person)
    }

    func confirm(
        _ question: String, _ consequence: String, button: String, isDanger: Bool = false, fields: [Model] = [],
        hidden: [(String, String)] = [], action: String, back: (href: String, text: String), place: PageView.Place
    ) -> PageView {
        let model: Model = [
            "question": .string(question), "sentences": [.string(consequence)], "action": .string(action),
            "buttonText": .string(button), "isDanger": .bool(isDanger), "fields": .array(fields.map(JSONValue.object)),
            "hidden": .array(hidden.map { ["name": .string($0.0), "value": .string($0.1)] }), "backHref": .string(back.href),
            "backText": .string(back.text),
        ]
        return PageView(template: "confirm", title: question, place: place, model: model)
    }

    fileprivate func perform(_ action: RunAction) async throws -> PageAnswer {
        let run = try run(), id = try messageID()
        switch action {
        case .cancel: try await client.cancel(run, id: id, by: caller)
        case .terminate: try await client.terminate(run, reason: form.text("reason"), id: id, by: caller)
        case .pause: try await client.pause(run, reason: form.text("reason"), id: id, by: caller)
        case .unpause: try await client.unpause(run, id: id, by: caller)
        case .signal: try await client.signal(run, name: try form.required("name"), json: try json("payload"), id: id, by: caller)
        case .retry: try await client.retry(run, id: id, by: caller)
        case .repin: try await client.repin(run, to: WorkflowVersion(try form.required("version")), id: id, by: caller)
        }
        return .see(address(of: run), .accepted)
    }

    // MARK: What an explanation proposes

    /// What somebody can do now, as the page offers it; what it does not offer, as a command.
    func move(_ move: RunExplanation.Move, isFirst: Bool) -> Model {
        let target = target(of: move.command)
        // Everybody may look at what is asked; what does something at once is for those who may.
        let isOffered = mayOperate || ["approve", "answer", "explain"].contains(move.command.first)
        var model: Model = ["meaning": .string(move.meaning), "isPrimary": .bool(isFirst), "label": .string(target?.label ?? "")]
        model.offer("href", isOffered ? target?.href : nil)
        model["isConfirmed"] = .bool(target?.isConfirmed ?? false)
        model.offer("command", target == nil ? CommandText.line("perdure", move.command) : nil)
        return model
    }

    private func target(of command: [String]) -> (href: String, label: String, isConfirmed: Bool)? {
        guard command.count >= 2, let run = RunID(command[1]) else { return nil }
        let here = address(of: run), step = command.count > 2 && !command[2].hasPrefix("--") ? command[2] : nil
        switch (command[0], step) {
        case ("approve", let step?): return (Self.link("\(base)/approvals/\(run)", [("step", step)]), "Decide", false)
        case ("answer", let question?): return (Self.link("\(base)/questions/\(run)", [("question", question)]), "Answer", false)
        case ("resolve", let step?), ("retry", let step?):
            let choice = StuckChoice(command)
            return (Self.link("\(base)/stuck/\(run)", [("step", step), ("choice", choice.rawValue)]), choice.title, false)
        case ("retry", nil): return ("\(here)/retry", RunAction.retry.label, true)
        case ("resume", _): return ("\(here)/unpause", RunAction.unpause.label, true)
        case ("signal", _): return ("\(here)/signal", RunAction.signal.label, true)
        case ("repin", _): return ("\(here)/repin", RunAction.repin.label, true)
        case ("cancel", _): return ("\(here)/cancel", RunAction.cancel.label, true)
        case ("explain", _): return (here, "See that run", false)
        default: return nil
        }
    }
}
