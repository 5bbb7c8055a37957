internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureHistory

/// What endpoints can be told of.
enum HookEvent: String, Sendable, Hashable, CaseIterable {
    case runClosed = "run.closed"
    case runParked = "run.parked"
    case stepInDoubt = "step.in_doubt"
    case approvalRequested = "approval.requested"

    init?(_ kind: EventKind) {
        switch kind {
        case .runCompleted, .runFailed, .runCancelled, .runTerminated, .runContinued: self = .runClosed
        case .runParked: self = .runParked
        case .stepInDoubt, .undoInDoubt: self = .stepInDoubt
        case .approvalRequested: self = .approvalRequested
        default: return nil
        }
    }
}

/// One event of a run that is durable, with whose it is.
struct HookNews: Sendable {
    let namespace: String
    let run: RunID
    let workflow: String
    let event: Event

    /// How much is sent at the most, in bytes.
    static let mostBytes = 20_000
    /// What endpoints know the event as; nil if they are not told of it.
    var kind: HookEvent? { HookEvent(event.kind) }

    /// The same whenever the event is told. If a store went back and the run went on otherwise, another event may stand at the same place:
    /// its hash is another one.
    var id: String {
        let seq = String(event.seq), zeros = String(repeating: "0", count: max(0, 10 - seq.utf8.count))
        return "\(run)-\(zeros)\(seq)-\(Hex.encode(event.hash.bytes.prefix(6)))"
    }

    /// As Standard Webhooks have it. Nothing of it is what a run was given, what it found out, or who said what.
    func body(_ kind: HookEvent) -> String {
        var data: JSONObject = [
            "namespace": .string(namespace), "run": .string(run.description), "workflow": .string(workflow),
            "seq": .integer(event.seq), "hash": .string(Hex.encode(event.hash.bytes)),
        ]
        let attributes = (try? event.attributes.object()) ?? JSONObject()
        switch kind {
        case .runClosed:
            data["state"] = .string(event.kind.rawValue.replacing("run.", with: ""))
            if event.kind == .runContinued { data["continued_as"] = attributes["run"] }
        case .runParked:
            data["state"] = "parked"
        case .stepInDoubt:
            data["step"] = .string(event.subject)
            data["undo"] = .bool(event.kind == .undoInDoubt)
        case .approvalRequested:
            data["step"] = .string(event.subject)
            data["approval"] = .string(ApprovalID(run: run, step: event.subject).text)
            data["digest"] = attributes["view_digest"]
            data["expires_at"] = attributes["expires_at"]?.integerValue.map { JSONValue(time: Timestamp(microseconds: $0)) }
        }
        let text = Self.text(kind.rawValue, event.at, data)
        guard text.utf8.count > Self.mostBytes else { return text }
        // Names of steps have no limit of their own once scopes are nested; the run says the rest.
        data["step"] = nil
        data["approval"] = nil
        data["shortened"] = true
        return Self.text(kind.rawValue, event.at, data)
    }

    static func text(_ type: String, _ at: Timestamp, _ data: JSONObject) -> String {
        let value: JSONValue = ["type": .string(type), "timestamp": JSONValue(time: at), "data": .object(data)]
        return value.canonicalText
    }
}

/// How an approval is called outside: by its run and its step.
struct ApprovalID: Sendable, Hashable {
    let run: RunID
    let step: String

    init(run: RunID, step: String) {
        self.run = run
        self.step = step
    }

    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let run = RunID(String(parts[0])), !parts[1].isEmpty else { return nil }
        self.init(run: run, step: String(parts[1]))
    }

    var text: String { "\(run)/\(step)" }
}
