import Perdure
package import PerdureHistory
import PerdureStore

/// What becomes of a step or child that completed after the point to which its run is reset.
public enum ResetChoice: String, Sendable, Hashable, Codable, CaseIterable {
    /// Its outcome answers again if the code asks for the same with the same input.
    case adopt
    /// It is undone before the reset. What cannot be undone is adopted; a read runs again.
    case undo
    /// It stays as it is, and may be done once more, under an idempotency key of its own. With a business key it is adopted.
    case keep
}

/// A reset as it is asked for, travels through the inbox, and stands in the history.
package struct ResetRequest: Codable, Sendable, Hashable {
    /// The last event that still counts.
    package var to: Int64
    package var completed: ResetChoice
    /// Steps and children of which something else is to become, by subject.
    package var exceptions: [String: ResetChoice]
    package var reason: String?

    package init(
        to: Int64, completed: ResetChoice = .adopt, exceptions: [String: ResetChoice] = [:], reason: String? = nil
    ) {
        self.to = to
        self.completed = completed
        self.exceptions = exceptions
        self.reason = reason
    }

    package func choice(for subject: String) -> ResetChoice { exceptions[subject] ?? completed }

    /// Nil for attributes that are not those of a reset.
    package init?(_ attributes: JSONObject) {
        guard let to = attributes["to"]?.integerValue, to > 0,
            let completed = attributes["completed"]?.stringValue.flatMap(ResetChoice.init)
        else { return nil }
        self.init(to: to, completed: completed, reason: attributes["reason"]?.stringValue)
        for member in attributes["exceptions"]?.objectValue?.members ?? [] {
            guard let choice = member.value.stringValue.flatMap(ResetChoice.init) else { return nil }
            exceptions[member.key] = choice
        }
    }

    var members: [(String, JSONValue?)] {
        let sorted = exceptions.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value.rawValue)) }
        return [
            ("to", .integer(to)), ("completed", .string(completed.rawValue)),
            ("exceptions", sorted.isEmpty ? nil : JSONValue.object(JSONObject(sorted))), ("reason", reason.map(JSONValue.string)),
        ]
    }

    /// The last event of a reset: from here on the run goes on after `to`.
    func event(by principal: JSONValue?) -> EventDraft {
        var object = JSONObject(principal.map { [("by", $0)] } ?? [])
        for case (let name, let value?) in members { object[name] = value }
        return EventDraft(.runReset, attributes: Attributes(object))
    }
}

/// A part of a history that a reset has passed over: what stands behind `to` and before `at`, where `run.reset` stands.
package struct ResetSpan: Sendable, Hashable {
    package var to: Int64
    package var at: Int64

    package init(to: Int64, at: Int64) {
        self.to = to
        self.at = at
    }

    package func contains(_ seq: Int64) -> Bool { to < seq && seq < at }
}

extension [ResetSpan] {
    package func passesOver(_ seq: Int64) -> Bool { contains { $0.contains(seq) } }

    /// Takes in a further reset. One that it passes over itself no longer counts.
    package mutating func add(_ event: Event, _ attributes: JSONObject) {
        guard let to = attributes["to"]?.integerValue, to > 0, to < event.seq else { return }
        removeAll { $0.at > to }
        append(ResetSpan(to: to, at: event.seq))
    }
}

/// Why a run cannot be reset to an event, in the words that people and histories get.
enum ResetProblem {
    static let noSuchEvent = "there is no such event before the end of the history"
    static let passedOver = "this event was passed over by an earlier reset"
    static let copied = "up to there the history is a copy of another run's; fork that one instead"
    static let lost =
        "what the run asks for may have been sent in a part of its history that is lost; say it again when that has been put in doubt"
    static let isResetting = "the run is being reset"
    static let isUndoing = "something that the run did is being undone; say it again when that is over"

    /// - Parameter stands: The event that says that the step happened, or that the child was started.
    static func undone(_ subject: String, stands: Int64) -> String {
        "'\(subject)' stood by then (event \(stands)) and has been undone since, or is being undone; reset to an event before \(stands)"
    }

    static func child(_ subject: String) -> String {
        "child '\(subject)' was started after it and has not ended; cancel or terminate it first"
    }

    static func unsettled(_ subjects: [String]) -> String {
        let names = subjects.map { "'\($0)'" }.joined(separator: ", ")
        return "what became of \(names) is not known, and the run's code is not at work here to find out; resolve it first"
    }

    static func needsCode(_ subjects: [String]) -> String {
        let names = subjects.map { "'\($0)'" }.joined(separator: ", ")
        return "undoing \(names) needs the run's code, which is not at work here; adopt or keep what happened"
    }
}

extension InboxRow {
    /// What a `reset` asks for; nil if it cannot be read.
    var resetRequest: ResetRequest? {
        guard delivery.kind == .reset, let payload = delivery.payload,
            let request = try? Payload(bytes: payload).decode(ResetRequest.self, what: "a reset"), request.to > 0
        else { return nil }
        return request
    }

    /// From this event on the code is told nothing more, until the run goes on after the point that is named.
    func resetBegins(_ request: ResetRequest) -> EventDraft {
        var object = (try? attributes(("action", "reset")).object()) ?? JSONObject()
        for case (let name, let value?) in request.members { object[name] = value }
        return EventDraft(.operatorAction, attributes: Attributes(object))
    }
}
