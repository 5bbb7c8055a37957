import Foundation
import Perdure
import PerdureHistory
import PerdureStore

@testable import PerdureEngine

// The world around the run: bodies that end, people that decide, time that passes.
extension MachineDriver {
    static let done: [UInt8] = Array("{}".utf8)

    // MARK: Bodies

    /// Ends the body that runs for the step or undo.
    func end(_ subject: String, _ outcome: AttemptOutcome = .succeeded(done)) throws {
        guard let index = running.firstIndex(where: { $0.attempt.subject == subject && !$0.attempt.body.isProbe }) else {
            throw DriverError("no body runs for '\(subject)'; running: \(running.map(\.attempt.subject))")
        }
        ended(running.remove(at: index), outcome)
        try settle()
    }

    /// A body has ended, which the run is to be told.
    func ended(_ body: Running, _ outcome: AttemptOutcome) {
        mailbox.append((now, .attemptEnded(body.id, outcome)))
        guard case .failed(let failure) = outcome, failure.isDefinite else { return }
        let call = calls.lastIndex { $0.subject == body.attempt.subject && $0.body == body.attempt.body }
        if let call { calls[call].wasRefused = true }
    }

    /// Ends the probe that runs for the step or undo.
    func endProbe(_ subject: String, _ outcome: ProbeOutcome) throws {
        guard let index = running.firstIndex(where: { $0.attempt.subject == subject && $0.attempt.body.isProbe }) else {
            throw DriverError("no probe runs for '\(subject)'")
        }
        mailbox.append((now, .probeEnded(running.remove(at: index).id, outcome)))
        try settle()
    }

    func isRunning(_ subject: String) -> Bool { running.contains { $0.attempt.subject == subject } }

    static func failure(isDefinite: Bool = false, isRetryable: Bool = true) -> AttemptOutcome {
        .failed(AttemptFailure(typeName: "E", message: "no", isDefinite: isDefinite, isRetryable: isRetryable))
    }

    // MARK: Pauses

    /// Somebody ends the pause; the run is brought into memory anew.
    func resume() throws {
        // Bodies that nobody wanted any more may still be at work; nobody hears of them.
        running = []
        try record(EventDraft(.runUnpaused))
        try evict()
    }

    // MARK: Time

    func pass(_ duration: Duration) throws {
        now = now + duration
        try settle()
    }

    /// Until the run becomes due by itself.
    func passUntilDue() throws {
        guard let due = machine.nextDue() else { throw DriverError("the run waits for no time") }
        now = max(now, due)
        try settle()
    }

    // MARK: People

    func send(_ kind: InboxKind, _ name: String = "", _ payload: String? = nil, by sender: Principal? = nil) throws {
        deliver(kind, name, payload.map { Array($0.utf8) }, by: sender)
        try settle()
    }

    func decide(_ subject: String, approve: Bool = true, digest: String? = nil, by sender: Principal? = nil) throws {
        deliverDecision(subject, approve: approve, digest: digest, by: sender)
        try settle()
    }

    func deliverDecision(_ subject: String, approve: Bool = true, digest: String? = nil, by sender: Principal? = nil) {
        let asked = history.last { $0.kind == .approvalRequested && $0.subject == subject }
        let shown = try? asked?.attributes.object()["view_digest"]?.stringValue
        let decision = JSONObject([
            ("isApproved", .bool(approve)), ("viewDigest", .string(digest ?? shown ?? "")), ("reason", "because"),
        ])
        deliver(.decision, subject, JSONValue.object(decision).canonicalBytes, by: sender)
    }

    func resolve(_ subject: String, _ kind: ResolutionKind, output: String? = nil) throws {
        deliverResolution(subject, kind, output: output)
        try settle()
    }

    /// As `Client` sends it: whoever says it has looked at the history as it stands.
    func deliverResolution(_ subject: String, _ kind: ResolutionKind, output: String? = nil) {
        var resolution = JSONObject([("kind", .string(kind.rawValue))])
        if let output { resolution["output"] = .string(Data(output.utf8).base64EncodedString()) }
        resolution["mark"] = lossMark
        deliver(.resolve, subject, JSONValue.object(resolution).canonicalBytes)
    }

    func retry(_ subject: String) throws {
        deliverRetry(subject)
        try settle()
    }

    func deliverRetry(_ subject: String) {
        deliver(.retry, subject, lossMark.map { JSONValue.object(JSONObject([("mark", $0)])).canonicalBytes })
    }

    /// The last mark of a loss in the history, as messages name it.
    private var lossMark: JSONValue? {
        history.last { $0.kind == .runRestored }.map { ["hash": .string("\($0.hash)"), "seq": .integer($0.seq)] }
    }

    // MARK: A world in which everything comes about

    /// Lets everything come about that the run waits for, one thing at a time and always in the same order, until it is closed.
    func playToTheEnd() throws {
        for _ in 0..<400 {
            try settle()
            if machine.isClosed { return }
            guard try playOneThing() else {
                throw DriverError("waits for nothing that could come: \(machine.openSubjects), \(historyText.suffix(8))")
            }
        }
        throw DriverError("does not come to an end: \(historyText.suffix(12))")
    }

    func playOneThing() throws -> Bool {
        if machine.isPaused {
            try resume()
            return true
        }
        if let first = running.first {
            running.removeFirst()
            if first.attempt.body.isProbe {
                mailbox.append((now, .probeEnded(first.id, .didNotHappen)))
            } else {
                let tries = calls.count { $0.subject == first.attempt.subject && $0.body == first.attempt.body }
                let scripted = first.attempt.body == .step ? outcomes[first.attempt.subject] ?? [] : []
                let outcome = scripted.isEmpty ? .succeeded(Self.done) : scripted[min(tries, scripted.count) - 1]
                ended(first, outcome)
            }
            return true
        }
        if let child = childrenAtWork.first {
            deliverEnd(of: child.subject, child.isCancelling ? .runCancelled : .runCompleted)
            return true
        }
        let open = machine.steps.values.sorted { $0.id < $1.id }
        if let step = open.first(where: { $0.phase == .awaitingApproval }) {
            deliverDecision(step.request.subject)
        } else if let question = machine.questions.values.first(where: { $0.phase == .asked }) {
            deliver(.answer, question.request.subject, Array("1".utf8))
        } else if let name = machine.signalWaitNames.sorted(by: { $0.key < $1.key }).first?.value {
            deliver(.signal, name, Array("1".utf8))
        } else if let step = open.first(where: \.waitsForPerson) {
            if let quiet = step.quietAfter, quiet > now { now = quiet }
            deliverResolution(step.request.subject, .happened)
        } else if let key = keysOfOthers.first {
            settleKey(key, .free)
        } else if let due = machine.nextDue() {
            now = max(now, due)
        } else {
            return false
        }
        return true
    }

    /// Keys that this run waits for and another one holds.
    var keysOfOthers: [BusinessKey] {
        awaited.map(\.key).filter { keys[$0].map { $0.outcome == .open && $0.holder != identity.id } ?? false }
    }

    /// Why the run does not move, in a word; `nil` if nobody could say.
    var cause: String? {
        if machine.isClosed { return "closed" }
        if machine.isPaused { return "paused" }
        if !running.isEmpty { return "running" }
        if machine.steps.values.contains(where: { $0.phase == .awaitingApproval }) { return "approval" }
        if machine.questions.values.contains(where: { $0.phase == .asked }) { return "question" }
        if !machine.signalWaitNames.isEmpty { return "signal" }
        if machine.steps.values.contains(where: \.waitsForPerson) { return "person" }
        if !awaited.isEmpty { return "key" }
        if machine.children.values.contains(where: { $0.phase != .undoing }) { return "child" }
        return machine.nextDue() == nil ? nil : "time"
    }
}

extension Attempt.Body {
    var isProbe: Bool { self == .stepProbe || self == .undoProbe }
}
