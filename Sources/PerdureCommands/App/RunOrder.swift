internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// A run that is to be started, checked before any store is opened.
struct RunOrder: Sendable {
    let workflow: String
    let version: WorkflowVersion?
    let input: Data
    let options: StartOptions
    let sender: Principal
    let workflows: [RegisteredWorkflow]
    let configuration: EngineConfiguration

    /// - Throws: `PerdureError` with `workflow_unknown`, `input_undecodable` or `payload_too_large`.
    func check() throws {
        _ = try registered()
    }

    private func registered() throws -> (RegisteredWorkflow, Payload) {
        let registered = try WorkflowRegistry(workflows).require(workflow, version: version)
        let what = "the input of workflow '\(workflow)'"
        do {
            let payload = Payload(bytes: try JSONValue.parse(Array(input), what: what).canonicalBytes)
            guard payload.bytes.count <= configuration.payloadLimit else {
                throw PayloadError.tooLarge(what: what, size: payload.bytes.count, limit: configuration.payloadLimit)
            }
            try registered.checkInput(payload)
            return (registered, payload)
        } catch PayloadError.notDecodable(_, let path, let expected, let reason) {
            // What is said of recorded values is of no use to somebody who types one.
            let place = path.isEmpty ? "" : " at '\(path)'"
            throw PerdureError(
                .inputUndecodable, "The input does not fit workflow '\(workflow)': expected \(expected)\(place), but \(reason).",
                metadata: [("field", path)])
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
    }

    func start(on engine: Engine) async throws -> RunID {
        try await engine.start(
            workflow: workflow, version: version, json: input, key: options.key, labels: options.labels?.values ?? [:],
            deadline: options.deadline, by: sender)
    }

    /// Writes the run into the store beside the process that hosts it, which takes it on at once.
    func place(with client: Client) async throws -> RunID {
        let (registered, payload) = try registered()
        let run = NewRun(
            registered, input: payload, options: options, namespace: configuration.namespace, by: sender,
            build: configuration.build, now: client.store.now(), random: { UInt64.random(in: .min ... .max) })
        let results = try await client.guarded { try await client.store.commit([.create(run)]) }
        switch results.first {
        case .created(let record)?: return record.id
        case .keyTaken(let existing)?:
            guard existing.wasStarted(with: payload.bytes) else {
                throw PerdureError(
                    .runConflict,
                    "The key '\(options.key ?? "")' belongs to run \(existing.id) of workflow '\(workflow)', which was started with another input. "
                        + "Use another key, or the same input.",
                    metadata: [("run", existing.id.description)])
            }
            return existing.id
        case .refused(let refusal)?: throw PerdureError(.storeUnavailable, "The run was not started: \(refusal).")
        default:
            throw PerdureError(.storeUnavailable, "The store gave no answer that makes sense; the run may have been started.")
        }
    }
}
