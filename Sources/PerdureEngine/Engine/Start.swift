package import Foundation
package import Perdure
package import PerdureHistory
package import PerdureStore

extension RegisteredWorkflow {
    /// What somebody has given as JSON, in the form in which it is recorded as the input of a run.
    ///
    /// - Throws: `PayloadError` if it is no JSON, too large, or not what the workflow takes.
    package func input(json: Data, limit: Int) throws -> Payload {
        let payload = try Payload(inputOf: name, json: json, limit: limit)
        try checkInput(payload)
        return payload
    }
}

extension Payload {
    /// The same where nobody knows what the workflow takes.
    ///
    /// - Throws: `PayloadError` if it is no JSON, or too large.
    init(inputOf workflow: String, json: Data, limit: Int = Payload.defaultLimit) throws(PayloadError) {
        let what = "the input of workflow '\(workflow)'"
        self.init(bytes: try JSONValue.parse(Array(json), what: what).canonicalBytes)
        guard bytes.count <= limit else { throw PayloadError.tooLarge(what: what, size: bytes.count, limit: limit) }
    }
}

extension CommitResult {
    /// The run that a start has made, or has found because it has the key.
    func started(_ workflow: String, key: String?, input: Payload) throws -> (record: RunRecord, isNew: Bool) {
        switch self {
        case .created(let record): return (record, true)
        case .keyTaken(let existing):
            guard existing.wasStarted(with: input.bytes) else {
                throw PerdureError(
                    .runConflict,
                    "The key '\(key ?? "")' belongs to run \(existing.id) of workflow '\(workflow)', which was started with another input. "
                        + "Use another key, or the same input.",
                    metadata: [("run", existing.id.description)])
            }
            return (existing, false)
        case .refused(.queueUnknown(let name)): throw PerdureError(queueUnknown: name)
        case .refused(.quotaExceeded(let refusal)): throw PerdureError(refusal)
        case .refused(.invalid(let reason)):
            throw PerdureError(
                .usage, "The store cannot hold the run: \(reason). Nothing was started; change what it begins with.")
        case .refused(let refusal):
            throw PerdureError(.storeUnavailable, "The store refused the run: \(refusal). Nothing was started; try again.")
        case .advanced, .delivered, .scheduled:
            throw PerdureError(
                .storeUnavailable,
                "The store gave an answer that makes no sense; the run may have been started. Start it again with the same key.",
                mayHaveHappened: true)
        }
    }
}

extension Client {
    /// Writes the run into the store, beside the engine that takes it on at once, or finds the one that has the key.
    ///
    /// - Throws: `PerdureError` with `run_conflict`, `queue_unknown`, `quota_exceeded` or the store's code.
    package func place(
        _ workflow: RegisteredWorkflow, _ input: Payload, _ options: StartOptions, in namespace: String, build: String?,
        by sender: Principal
    ) async throws -> (record: RunRecord, isNew: Bool) {
        let run = NewRun(
            workflow, input: input, options: options, namespace: namespace, by: sender, build: build, now: store.now(),
            random: random)
        return try await deliver(.create(run)).started(workflow.name, key: options.key, input: input)
    }
}
