internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// How a run stands when a command stops looking at it.
struct RunOutcome: Sendable {
    let id: RunID
    let record: RunRecord
    var output: JSONValue?
    var code: String?
    var message: String?

    init(_ id: RunID, _ record: RunRecord) {
        self.id = id
        self.record = record
    }

    /// Of a run that was continued, the last one that continues it.
    static func read(_ id: RunID, _ client: Client) async throws -> RunOutcome {
        let record = try await client.latestRecord(of: id)
        var outcome = RunOutcome(record.id, record)
        try outcome.record.requireHistory()
        guard let final = try await client.final(of: outcome.record) else { return outcome }
        let attributes = (try? final.attributes.object()) ?? JSONObject()
        if final.kind == .runCompleted { outcome.output = ValueText.json(final.output) }
        outcome.code = attributes["code"]?.stringValue
        outcome.message = attributes["message"]?.stringValue ?? attributes["reason"]?.stringValue
        return outcome
    }

    /// Nothing that was waited for went wrong.
    var isGood: Bool { !record.state.isFinal && record.state != .quarantined || record.state == .completed }

    var json: JSONValue {
        let error =
            isGood ? nil : JSONValue.members(("code", code.map(JSONValue.string)), ("message", message.map(JSONValue.string)))
        return .members(
            ("run", .string(id.description)), ("state", .string(record.state.rawValue)), ("output", output), ("error", error))
    }

    func text(_ style: Style) -> String {
        let state = style.state(record.state.rawValue)
        if !record.state.isFinal, record.state != .quarantined { return "Run \(id) is started." }
        if let output { return "Run \(id) \(state): \(output.canonicalText)" }
        let why = [code, message].compactMap { $0 }.joined(separator: ": ")
        return "Run \(id) \(state)\(why.isEmpty ? "" : ": \(why)")"
    }
}
