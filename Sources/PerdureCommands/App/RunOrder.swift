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
        do {
            return (registered, try registered.input(json: input, limit: configuration.payloadLimit))
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

    /// What a process has to host to take the run.
    var needed: ClaimRequest.Hosted {
        get throws {
            let (workflow, _) = try registered()
            return ClaimRequest.Hosted(workflow: workflow.name, version: workflow.version.description)
        }
    }

    func start(on engine: Engine) async throws -> (record: RunRecord, isNew: Bool) {
        let (registered, payload) = try registered()
        return try await engine.start(registered, payload, options, by: sender)
    }

    /// Hands the run to whoever hosts its workflow on the store.
    func place(with client: Client) async throws -> (record: RunRecord, isNew: Bool) {
        let (registered, payload) = try registered()
        return try await client.place(
            registered, payload, options, in: configuration.namespace, build: configuration.build, by: sender)
    }
}
