internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Perdure
internal import PerdureHistory

/// What a signed message asks for.
struct HookMessage: Sendable {
    enum Target: Sendable, Hashable {
        case run(RunID)
        case key(workflow: String, key: String)
    }

    enum Wish: Sendable {
        case signal(Target, name: String, payload: JSONValue)
        case decision(ApprovalID, digest: String, approve: Bool, comment: String?)
    }

    /// Names the event, so that it is taken in once; that of the message where it has no other one.
    let onceID: String
    let wish: Wish
    /// Tells it from another one with the same name.
    let content: JSONValue

    /// - Throws: `Problem` with 400 or 415.
    init(_ body: [UInt8], _ headers: HTTPFields, webhookID: String) throws(Problem) {
        let type = headers[.contentType]?.lowercased() ?? ""
        if type.hasPrefix("application/cloudevents-batch") {
            throw Problem(
                .unsupportedMediaType, "media_type_unsupported", "Batches of CloudEvents are not taken; send one by one.")
        } else if type.hasPrefix("application/cloudevents") {
            guard CloudEvent.isJSON(type) else { throw Self.wrongType }
            try self.init(try CloudEvent(structured: try Self.json(body)))
        } else if let attributes = try CloudEvent.attributes(of: headers) {
            guard body.isEmpty || CloudEvent.isJSON(type) else { throw Self.wrongType }
            try self.init(try CloudEvent(attributes, data: body.isEmpty ? nil : try Self.json(body)))
        } else {
            guard CloudEvent.isJSON(type) else { throw Self.wrongType }
            try self.init(plain: try Self.json(body), webhookID)
        }
    }

    private static let wrongType = Problem(
        .unsupportedMediaType, "media_type_unsupported", "Send JSON: 'application/json', or 'application/cloudevents+json'.")

    private static func json(_ body: [UInt8]) throws(Problem) -> JSONValue {
        do {
            return try JSONValue.parse(body, what: "the body")
        } catch {
            throw Problem(.badRequest, "body_invalid", "The body is not JSON: \(error.fault).")
        }
    }

    // MARK: Our own form

    static let signalSchema = Schema.object([
        .may("run", .text(.run)), .may("workflow", .text(.identifier)), .may("key", .text(.key)),
        .must("signal", .text(.identifier)), .may("payload", .any),
    ])
    static let decisionSchema = Schema.object([
        .must("approval", .text(.free(atMost: 4_000))), .must("digest", .text(.free(atMost: 200))),
        .must("decision", .text(.oneOf(["approve", "deny"]))), .may("comment", .text(.free(atMost: 4_000))),
    ])

    private init(plain json: JSONValue, _ webhookID: String) throws(Problem) {
        let isDecision = json.objectValue?.keys.contains("approval") ?? false
        var flaws = (isDecision ? Self.decisionSchema : Self.signalSchema).flaws(in: json)
        func text(_ name: String) -> String? { json[name]?.stringValue }
        var wish: Wish?
        if isDecision, let approval = text("approval").flatMap({ ApprovalID($0) }) {
            wish = .decision(
                approval, digest: text("digest") ?? "", approve: text("decision") == "approve", comment: text("comment"))
        } else if !isDecision {
            switch (text("run").flatMap { RunID($0) }, text("workflow"), text("key")) {
            case (let run?, nil, nil): wish = .signal(.run(run), name: text("signal") ?? "", payload: json["payload"] ?? .null)
            case (nil, let workflow?, let key?):
                wish = .signal(.key(workflow: workflow, key: key), name: text("signal") ?? "", payload: json["payload"] ?? .null)
            default: flaws.append(Flaw(place: "/run", wish: "has to be there, or 'workflow' and 'key' in its place"))
            }
        } else {
            flaws.append(Flaw(place: "/approval", wish: "has to be the id of an approval: that of its run, '/', its step"))
        }
        guard flaws.isEmpty, let wish else { throw Self.refused(flaws) }
        self.wish = wish
        onceID = "message \(webhookID)"
        content = json
    }

    static func refused(_ flaws: [Flaw]) -> Problem {
        let sentence = flaws.prefix(3).map { "'\($0.place)' \($0.wish)" }.joined(separator: "; ")
        return Problem(.badRequest, "body_invalid", "The message is not as it has to be: \(sentence).", flaws: flaws)
    }

    // MARK: CloudEvents

    private init(_ event: CloudEvent) throws(Problem) {
        guard let target = Self.target(event.subject ?? "") else {
            throw Self.refused([Flaw(place: "subject", wish: "has to be the id of a run, or its workflow, '/' and its key")])
        }
        guard TextRule.identifier.fits(event.type) else {
            throw Self.refused([Flaw(place: "type", wish: "is the name of the signal, and \(TextRule.identifier.wish)")])
        }
        wish = .signal(target, name: event.type, payload: event.data)
        // Whoever made the event has named it; who brings it may bring it in another message.
        onceID = "event \(event.source.utf8.count):\(event.source)\(event.id)"
        content = [
            "type": .string(event.type), "subject": .string(event.subject ?? ""), "source": .string(event.source),
            "id": .string(event.id), "data": event.data,
        ]
    }

    private static func target(_ subject: String) -> Target? {
        if let run = RunID(subject) { return .run(run) }
        let parts = subject.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, TextRule.identifier.fits(parts[0]), TextRule.key.fits(parts[1]) else { return nil }
        return .key(workflow: parts[0], key: parts[1])
    }
}
