import Foundation
package import Perdure
package import PerdureHistory

// Reading and writing the small facts that stand in an event's attributes. Times are microseconds since 1970.

extension JSONObject {
    func timestamp(_ key: String) -> Timestamp? { self[key]?.integerValue.map(Timestamp.init(microseconds:)) }

    /// Whether there is such a member. Comparing with the literal `nil` does not tell: it is taken for JSON's null.
    func has(_ key: String) -> Bool { members.contains { $0.key == key } }
}

extension Attributes {
    func timestamp(_ key: String) throws(PayloadError) -> Timestamp? { try object().timestamp(key) }
}

extension JSONValue {
    /// This value, or no member at all. (In `condition ? value : nil` the literal would be JSON's null.)
    func when(_ condition: Bool) -> JSONValue? {
        guard condition else { return .none }
        return self
    }

    init(_ time: Timestamp) { self = .integer(time.microseconds) }
    init(_ principal: Principal) {
        self = .object(
            JSONObject([
                ("kind", .string(principal.kind.rawValue)), ("id", .string(principal.id)),
                ("authentication", .string(principal.authentication)),
            ]))
    }
}

extension Principal {
    package init?(_ value: JSONValue) {
        guard let object = value.objectValue, let kind = object["kind"]?.stringValue.flatMap(Kind.init),
            let id = object["id"]?.stringValue
        else { return nil }
        self.init(kind, id, authentication: object["authentication"]?.stringValue ?? "unauthenticated")
    }
}

extension Event {
    func inputBytes() throws -> [UInt8] { try bytes(of: input, named: "input") }
    func outputBytes() throws -> [UInt8] { try bytes(of: output, named: "output") }

    func bytes(of value: StoredValue?, named name: String) throws -> [UInt8] {
        guard case .inline(let bytes)? = value else {
            throw Divergence(
                .unreadable, subject: subject, message: "Event \(seq) (\(kind.rawValue)) has no \(name) that can be read here.")
        }
        return bytes
    }
}

extension StepFailure {
    /// The failure that an event's attributes describe, as an author receives it.
    init(_ event: Event, _ attributes: JSONObject) {
        var payload: [UInt8]?
        if case .inline(let bytes)? = event.output { payload = bytes }
        self.init(
            code: attributes["code"]?.stringValue ?? StepFailure.stepFailed, typeName: attributes["type"]?.stringValue ?? "",
            message: attributes["message"]?.stringValue ?? "", attempts: Int(attributes["attempt"]?.integerValue ?? 0),
            isDefinite: attributes["definite"]?.boolValue ?? false, payload: payload.map { Data($0) })
    }
}

/// What a person is asked to approve: the canonical call, drawn by the engine.
package struct ApprovalView: Sendable, Hashable {
    package let bytes: [UInt8]

    package init(of request: StepRequest, in run: RunIdentity) {
        let input = (try? JSONValue.parse(request.input, what: "the input of '\(request.subject)'")) ?? .null
        bytes =
            JSONValue.object(
                JSONObject([
                    ("workflow", .string(run.workflow)), ("version", .string(run.version)), ("namespace", .string(run.namespace)),
                    ("run", .string(run.id.description)), ("step", .string(request.subject)),
                    ("effect", .string(request.effect.name)),
                    ("input", input), ("irreversible", request.irreversible.map(JSONValue.string) ?? .null),
                    ("approver", .string(request.approval?.approver.description ?? "")),
                ])
            ).canonicalBytes
    }

    /// Whether a recorded view shows the same call. Its input may have been written by an older form of the type.
    func fits(_ recorded: [UInt8], accepting accepts: ([UInt8]) -> Bool) -> Bool {
        if recorded == bytes { return true }
        guard case .object(var then)? = try? JSONValue.parse(recorded, what: "a view"),
            case .object(var now)? = try? JSONValue.parse(bytes, what: "a view"),
            let input = then["input"], accepts(input.canonicalBytes)
        else { return false }
        then["input"] = .null
        now["input"] = .null
        return JSONValue.object(then).canonicalBytes == JSONValue.object(now).canonicalBytes
    }

    /// What a decision has to name: it binds the decision to exactly what was shown.
    package func digest(salt: [UInt8]) -> String { SaltedDigest.hex(salt: salt, canonicalBytes: bytes) }
}

/// How a step goes on that turned out not to have happened.
enum Continuation: Hashable {
    /// Another attempt, at once.
    case atOnce
    /// Another attempt later, as after an error.
    case backingOff(until: Timestamp)
    /// Its attempts are used up.
    case deadLetter
    /// The author gets the last error, which is definite now.
    case failure

    /// How an event names it, where it is neither of the first two.
    var name: String? {
        switch self {
        case .atOnce, .backingOff: nil
        case .deadLetter: "dead_letter"
        case .failure: "failure"
        }
    }
}

/// How a step in doubt was cleared up.
package enum ResolutionKind: String, Sendable, Hashable, CaseIterable, Codable {
    case happened
    case didNotHappen = "did_not_happen"
    case undo
    case abort
}
