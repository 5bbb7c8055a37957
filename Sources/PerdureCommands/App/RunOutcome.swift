package import Perdure
package import PerdureEngine
package import PerdureHistory
package import PerdureStore

/// How a run stands when a command stops looking at it.
package struct RunOutcome: Sendable {
    let id: RunID
    package let record: RunRecord
    /// Whether the command has started it. Otherwise the run had the key already.
    let isNew: Bool
    /// Whether it counts for the command how the run ended.
    let wasWaitedFor: Bool
    var output: JSONValue?
    var code: String?
    var message: String?

    /// Of a run that was continued, the last one that continues it.
    ///
    /// - Throws: `PerdureError` with `run_expired` if it was waited for: then nobody can say what it has come to.
    package static func read(
        _ id: RunID, _ client: Client, isNew: Bool, wasWaitedFor: Bool
    ) async throws -> RunOutcome {
        let record = try await client.latestRecord(of: id)
        var outcome = RunOutcome(id: record.id, record: record, isNew: isNew, wasWaitedFor: wasWaitedFor)
        if record.tombstone != nil, !wasWaitedFor { return outcome }
        try outcome.record.requireHistory()
        guard let final = try await client.final(of: outcome.record) else { return outcome }
        let attributes = (try? final.attributes.object()) ?? JSONObject()
        if final.kind == .runCompleted { outcome.output = ValueText.json(final.output) }
        outcome.code = attributes["code"]?.stringValue
        outcome.message = attributes["message"]?.stringValue ?? attributes["reason"]?.stringValue
        return outcome
    }

    /// The run itself did not go wrong.
    private var isGood: Bool { !record.state.isFinal && record.state != .quarantined || record.state == .completed }
    /// Nothing that was waited for went wrong.
    var isSuccess: Bool { isGood || !wasWaitedFor }

    package var json: JSONValue {
        let error =
            isGood ? nil : JSONValue.members(("code", code.map(JSONValue.string)), ("message", message.map(JSONValue.string)))
        return .members(
            ("run", .string(id.description)), ("new", .bool(isNew)), ("state", .string(record.stateName)), ("output", output),
            ("error", error))
    }

    func text(_ style: Style) -> String {
        let state = style.state(record.state.rawValue)
        if !record.state.isFinal, record.state != .quarantined {
            return isNew ? "Run \(id) is started." : "Run \(id) has this key already; it is \(state)."
        }
        let run = isNew || wasWaitedFor ? "Run \(id)" : "Run \(id) has this key already; it is"
        if let output { return "\(run) \(state): \(output.canonicalText)" }
        let why = [code, message].compactMap { $0 }.joined(separator: ": ")
        return "\(run) \(state)\(why.isEmpty ? "" : ": \(why)")"
    }
}
