import Perdure
import PerdureHistory

@testable import PerdureEngine

/// Workflow code as data: what it asks for and in which shape, so that a test reads like the workflow it stands for and a random
/// one can be made.
indirect enum Code: Sendable {
    case step(StepRequest)
    case timer(String, Duration)
    case timerUntil(String, Timestamp)
    case signal(String)
    case question(QuestionRequest)
    /// Waits for an update of this name and answers it.
    case update(String)
    case report(String)
    case label(String)
    /// Goes one way or the other by `context.patched`.
    case patched(String, Code, Code)
    case child(ChildRequest)
    /// `context.continueAsNew` with this input.
    case continues(String)
    /// One after the other; the first that fails ends it.
    case sequence([Code])
    /// Child tasks; if one fails the others are cancelled, and all are awaited.
    case parallel([Code])
    /// Child tasks; the first to end decides, the others are cancelled, and all are awaited.
    case race([Code])
    /// `context.scope`: what was completed inside is undone if it fails.
    case scope(String, Code)
    /// A `do/catch` that goes on.
    case recovered(Code)
    /// The author throws.
    case fails
}

extension Code {
    static func read(_ name: String, policy: StepPolicy = .default) -> Code {
        .step(StepRequest(subject: name, name: name, effect: .read, policy: policy, input: Self.input(name)))
    }

    static func idempotent(
        _ name: String, retention: Retention = .forever, policy: StepPolicy = .default, undo: StepRequest.Undo? = nil,
        approval: ApprovalRequirement? = nil, key: String? = nil
    ) -> Code {
        .step(
            StepRequest(
                subject: name, name: name, effect: .idempotent(retention), policy: policy, undo: undo,
                irreversible: undo == nil ? "it stays" : nil, approval: approval, businessKey: key, input: Self.input(name)))
    }

    static func atMostOnce(
        _ name: String, probe: Bool = false, policy: StepPolicy = .default, undo: StepRequest.Undo? = nil,
        approval: ApprovalRequirement? = nil, key: String? = nil
    ) -> Code {
        .step(
            StepRequest(
                subject: name, name: name, effect: .atMostOnce, policy: policy, hasProbe: probe, undo: undo,
                irreversible: undo == nil ? "it stays" : nil, approval: approval, businessKey: key, input: Self.input(name)))
    }

    static func transactional(_ name: String, policy: StepPolicy = .default, undo: StepRequest.Undo? = nil) -> Code {
        .step(
            StepRequest(
                subject: name, name: name, effect: .transactional, policy: policy, undo: undo,
                irreversible: undo == nil ? "it stays" : nil, input: Self.input(name)))
    }

    static func question(_ name: String, within: Duration? = nil) -> Code {
        .question(QuestionRequest(subject: name, text: "Which?", approver: .anyone, within: within))
    }

    static func child(
        _ name: String, undo: StepRequest.Undo? = nil, policy: ChildPolicy = .cancel, isDetached: Bool = false,
        version: String? = "1"
    ) -> Code {
        .child(
            ChildRequest(
                subject: name, workflow: "work", version: version, undo: undo, irreversible: undo == nil ? "it stays" : nil,
                policy: policy, isDetached: isDetached, input: Self.input(name)))
    }

    static func input(_ name: String) -> [UInt8] { Array(#"{"of":"\#(name)"}"#.utf8) }
}

extension Code: CustomStringConvertible {
    var description: String {
        func list(_ parts: [Code]) -> String { parts.map(\.description).joined(separator: ", ") }
        switch self {
        case .step(let step):
            var words = ["\(step.effect.name)(\(step.subject)"]
            if step.hasProbe { words.append("probe") }
            if let undo = step.undo { words.append("undo: \(undo)") }
            if step.approval != nil { words.append("approval") }
            if let key = step.businessKey { words.append("key: \(key)") }
            if let most = step.policy.retry.maximumAttempts { words.append("\(most) attempts, \(step.policy.retry.exhaustion)") }
            if step.policy.intent == .always { words.append("intent") }
            return words.joined(separator: ", ") + ")"
        case .timer(let name, let duration): return "timer(\(name), \(duration))"
        case .timerUntil(let name, let time): return "timer(\(name), until \(time))"
        case .signal(let name): return "signal(\(name))"
        case .question(let question): return "question(\(question.subject))"
        case .update(let name): return "update(\(name))"
        case .report(let status): return "report(\(status))"
        case .label(let name): return "label(\(name))"
        case .patched(let id, let new, let old): return "patched(\(id), \(new), \(old))"
        case .child(let child):
            let words = [child.undo.map { "undo: \($0)" }, "\(child.policy)", child.isDetached ? "detached" : nil]
            return "child(\(([child.subject] + words.compactMap { $0 }).joined(separator: ", ")))"
        case .continues(let input): return "continues(\(input))"
        case .sequence(let parts): return "sequence(\(list(parts)))"
        case .parallel(let parts): return "parallel(\(list(parts)))"
        case .race(let parts): return "race(\(list(parts)))"
        case .scope(let name, let body): return "scope(\(name), \(body))"
        case .recovered(let body): return "recovered(\(body))"
        case .fails: return "fails"
        }
    }
}

/// Runs `Code` against a machine as the run's executor runs a workflow: in continuation style, one answer after the other.
final class Script {
    enum Result {
        case value
        case failure(StepFailure)
        case cancelled
    }

    /// A task of the workflow.
    final class Branch {
        var isCancelled = false
        var wait: OperationID?
        var children: [Branch] = []
    }

    unowned let driver: MachineDriver
    let root = Branch()
    private var waits: [OperationID: (label: String, resume: (Answer) -> Void)] = [:]
    /// Every answer in the order in which the code saw it.
    private(set) var seen: [String] = []
    private var lastUpdate: String?
    /// What went wrong between machine and code.
    private(set) var complaints: [String] = []

    init(_ driver: MachineDriver) { self.driver = driver }

    func start(_ code: Code) {
        run(code, in: root, scope: "") { [unowned self] result in
            if driver.machine.isBeingContinued { return driver.machine.finish(.continued) }
            switch result {
            case .value: driver.machine.finish(.completed(Array("null".utf8)))
            case .failure(let failure): unwind("") { [unowned self] in driver.machine.finish(.failed(failure)) }
            case .cancelled: unwind("") { [unowned self] in driver.machine.finish(.cancelled) }
            }
        }
    }

    func cancelRoot() { cancel(root) }

    func deliver(_ id: OperationID, _ answer: Answer) {
        guard let wait = waits.removeValue(forKey: id) else {
            complaints.append("an answer for operation \(id.number), which nobody waits for")
            return
        }
        seen.append("\(wait.label): \(Self.text(answer))")
        wait.resume(answer)
    }

    private static func text(_ answer: Answer) -> String {
        switch answer {
        case .value(let bytes): String(decoding: bytes, as: UTF8.self)
        case .update(_, let payload): String(decoding: payload, as: UTF8.self)
        case .done: "done"
        case .failure(let failure): failure.code
        case .cancelled: "cancelled"
        }
    }

    private func cancel(_ branch: Branch) {
        guard !branch.isCancelled else { return }
        branch.isCancelled = true
        if let wait = branch.wait { driver.machine.cancel(wait) }
        for child in branch.children { cancel(child) }
    }

    private func unwind(_ scope: String, then resume: @escaping () -> Void) {
        let id = driver.machine.requestUnwinding(of: scope)
        waits[id] = ("unwinding of '\(scope)'", { _ in resume() })
    }

    private func wait(for label: String, in branch: Branch, _ resume: @escaping (Result) -> Void, ask: () -> OperationID) {
        if branch.isCancelled || driver.machine.isBeingContinued { return resume(.cancelled) }
        let id = ask()
        branch.wait = id
        waits[id] = (
            label,
            { [unowned self] answer in
                branch.wait = nil
                if case .update(let id, _) = answer { lastUpdate = id }
                switch answer {
                case .value, .update, .done: resume(.value)
                case .failure(let failure): resume(.failure(failure))
                case .cancelled: resume(.cancelled)
                }
            }
        )
    }

    private func run(_ code: Code, in branch: Branch, scope: String, _ resume: @escaping (Result) -> Void) {
        func path(_ name: String) -> String { scope.isEmpty ? name : "\(scope)/\(name)" }
        switch code {
        case .step(var request):
            request.subject = path(request.subject)
            request.scope = scope
            wait(for: request.subject, in: branch, resume) { driver.machine.request(request) }
        case .timer(let name, let duration):
            wait(for: "timer \(path(name))", in: branch, resume) { driver.machine.requestTimer(path(name), duration: duration) }
        case .timerUntil(let name, let time):
            wait(for: "timer \(path(name))", in: branch, resume) {
                driver.machine.requestTimer(path(name), duration: .zero, until: time)
            }
        case .signal(let name):
            wait(for: "signal \(name)", in: branch, resume) { driver.machine.requestSignal(name) }
        case .question(var request):
            request.subject = path(request.subject)
            wait(for: "question \(request.subject)", in: branch, resume) { driver.machine.request(request) }
        case .update(let name):
            wait(
                for: "update \(name)", in: branch,
                { [unowned self] result in
                    guard case .value = result, let id = lastUpdate else { return resume(result) }
                    wait(for: "reply to \(id)", in: branch, resume) {
                        driver.machine.requestReply(to: id, of: name, .success(Array("1".utf8)))
                    }
                }
            ) { driver.machine.requestUpdate(name) }
        case .report(let status):
            wait(for: "report", in: branch, resume) { driver.machine.requestStatus(path("status"), Array("\"\(status)\"".utf8)) }
        case .label(let name):
            guard let labels = try? Labels([name: "1"]) else { return resume(.cancelled) }
            wait(for: "label", in: branch, resume) { driver.machine.requestLabels(path("labels"), labels) }
        case .patched(let id, let new, let old):
            run(driver.machine.isPatched(id) ? new : old, in: branch, scope: scope, resume)
        case .child(var request):
            request.subject = path(request.subject)
            request.scope = scope
            wait(for: "child \(request.subject)", in: branch, resume) { driver.machine.request(request) }
        case .continues(let input):
            if !branch.isCancelled {
                _ = driver.machine.requestSuccession(version: "2", input: Array(input.utf8))
            }
            resume(.cancelled)
        case .sequence(let parts):
            guard let first = parts.first else { return resume(.value) }
            run(first, in: branch, scope: scope) { [unowned self] result in
                guard case .value = result else { return resume(result) }
                run(.sequence(Array(parts.dropFirst())), in: branch, scope: scope, resume)
            }
        case .parallel(let parts):
            runChildren(parts, in: branch, scope: scope, isRace: false, resume)
        case .race(let parts):
            runChildren(parts, in: branch, scope: scope, isRace: true, resume)
        case .scope(let name, let body):
            run(body, in: branch, scope: path(name)) { [unowned self] result in
                if case .value = result { return resume(result) }
                if driver.machine.isBeingContinued { return resume(result) }
                unwind(path(name)) { resume(result) }
            }
        case .recovered(let body):
            run(body, in: branch, scope: scope) { result in
                if case .failure = result { resume(.value) } else { resume(result) }
            }
        case .fails:
            resume(.failure(StepFailure(code: "author", message: "the author threw")))
        }
    }

    private func runChildren(
        _ parts: [Code], in branch: Branch, scope: String, isRace: Bool, _ resume: @escaping (Result) -> Void
    ) {
        let children = parts.map { _ in Branch() }
        branch.children += children
        if branch.isCancelled { for child in children { child.isCancelled = true } }
        var open = parts.count
        var decided: Result?
        for (part, child) in zip(parts, children) {
            run(part, in: child, scope: scope) { [unowned self] result in
                open -= 1
                var decides = isRace
                if case .value = result {} else { decides = true }
                if decides, decided == nil {
                    decided = result
                    for other in children { cancel(other) }
                }
                if open == 0 { resume(decided ?? .value) }
            }
        }
        if parts.isEmpty { resume(.value) }
    }
}
