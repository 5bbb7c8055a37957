package import Foundation
package import Perdure
package import PerdureHistory
package import PerdureStore

extension RegisteredWorkflow {
    /// What somebody has given as JSON, in the form in which it is recorded as the input of a run.
    ///
    /// - Throws: `PayloadError` if it is no JSON, too large, or not what the workflow takes.
    package func input(json: Data, limit: Int) throws -> Payload {
        let what = "the input of workflow '\(name)'"
        let payload = Payload(bytes: try JSONValue.parse(Array(json), what: what).canonicalBytes)
        guard payload.bytes.count <= limit else {
            throw PayloadError.tooLarge(what: what, size: payload.bytes.count, limit: limit)
        }
        try checkInput(payload)
        return payload
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
        _ workflow: RegisteredWorkflow, _ input: Payload, _ options: StartOptions, _ configuration: EngineConfiguration,
        by sender: Principal
    ) async throws -> (record: RunRecord, isNew: Bool) {
        let run = NewRun(
            workflow, input: input, options: options, namespace: configuration.namespace, by: sender, build: configuration.build,
            now: store.now(), random: configuration.random)
        return try await deliver(.create(run)).started(workflow.name, key: options.key, input: input)
    }
}
