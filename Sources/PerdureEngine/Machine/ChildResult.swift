package import Perdure
package import PerdureHistory
package import PerdureStore

/// How a child ended, as it travels to its parent's inbox: the event that closed it.
///
/// Its bytes are a JSON object on one line and, behind a line feed, the output as it was recorded. The output is not looked into: it
/// can be large, and has to arrive byte by byte.
package struct ChildResult: Sendable, Hashable {
    package var run: RunID
    package var kind: EventKind
    package var attributes: JSONObject
    package var output: [UInt8]?
    /// The run that has ended, if the child was continued: the last of its chain.
    package var last: RunID?

    package init(
        run: RunID, kind: EventKind, attributes: JSONObject = JSONObject(), output: [UInt8]? = nil, last: RunID? = nil
    ) {
        self.run = run
        self.kind = kind
        self.attributes = attributes
        self.output = output
        self.last = last
    }

    /// `nil` for bytes that are none.
    package init?(payload: [UInt8]) {
        let line = payload.prefix { $0 != UInt8(ascii: "\n") }
        guard let header = try? JSONValue.parse(Array(line), what: "the end of a child"),
            let run = header["run"]?.stringValue.flatMap(RunID.init),
            let kind = header["kind"]?.stringValue.flatMap(EventKind.init), kind.isFinal
        else { return nil }
        let rest = payload.dropFirst(line.count)
        self.init(
            run: run, kind: kind, attributes: header["attributes"]?.objectValue ?? JSONObject(),
            output: rest.isEmpty ? nil : Array(rest.dropFirst()), last: header["last"]?.stringValue.flatMap(RunID.init))
    }

    package var payload: [UInt8] {
        var members = JSONObject([
            ("run", .string(run.description)), ("kind", .string(kind.rawValue)), ("attributes", .object(attributes)),
        ])
        if let last { members["last"] = .string(last.description) }
        let header = JSONValue.object(members).canonicalBytes
        guard let output else { return header }
        return header + [UInt8(ascii: "\n")] + output
    }

    /// The message to the parent that goes into the commit of the child's last event; `nil` if the parent does not wait, or the event
    /// only ends this part of the child. To its parent a child that was continued is still the run that it began as.
    package static func delivery(of final: EventDraft, run: RunID, first: RunID, to parent: ParentLink?) -> Delivery? {
        guard let parent, !parent.isDetached, final.kind.isFinal, final.kind != .runContinued else { return nil }
        var output: [UInt8]?
        if case .inline(let bytes)? = final.output { output = bytes }
        let result = ChildResult(
            run: first, kind: final.kind, attributes: (try? final.attributes.object()) ?? JSONObject(), output: output,
            last: run == first ? nil : run)
        return Delivery(
            to: parent.run, id: "child:\(first):end", kind: .childResult, name: parent.subject, payload: result.payload,
            sender: .run(first))
    }

    /// The event that ends the child in the parent's history.
    package func event(subject: String, at: Timestamp) -> EventDraft {
        var members = JSONObject([("run", .string(run.description)), ("ended_at", JSONValue(at))])
        if let last { members["last"] = .string(last.description) }
        switch kind {
        case .runCompleted:
            return EventDraft(
                .childCompleted, subject: subject, attributes: Attributes(members), output: .inline(output ?? Array("{}".utf8)))
        case .runCancelled:
            return EventDraft(.childCancelled, subject: subject, attributes: Attributes(members))
        case .runTerminated:
            let who = attributes["by"].flatMap(Principal.init).map { " by \($0.id)" } ?? ""
            let why = attributes["reason"]?.stringValue.map { ": \($0)" } ?? ""
            members["code"] = .string(StepFailure.childTerminated)
            members["message"] = .string("child '\(subject)' was terminated\(who)\(why)")
            members["definite"] = false
            return EventDraft(.childFailed, subject: subject, attributes: Attributes(members))
        default:
            for name in ["code", "type", "message", "definite", "attempt"] {
                if let value = attributes[name] { members[name] = value }
            }
            return EventDraft(
                .childFailed, subject: subject, attributes: Attributes(members), output: output.map(StoredValue.inline))
        }
    }

    /// What the parent records of an end that cannot be read.
    static func unreadable(_ run: RunID, subject: String, at: Timestamp) -> EventDraft {
        EventDraft(
            .childFailed, subject: subject,
            attributes: [
                "run": .string(run.description), "ended_at": JSONValue(at), "code": .string(StepFailure.undecodable),
                "message": .string("what child '\(subject)' says of its end cannot be read"), "definite": false,
            ])
    }
}

extension Principal {
    /// A run that speaks to another one.
    static func run(_ id: RunID) -> Principal { Principal(.system, "run \(id)", authentication: "internal") }
}
