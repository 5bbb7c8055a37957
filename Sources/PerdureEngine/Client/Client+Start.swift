public import Foundation
public import Perdure
import PerdureHistory
package import PerdureStore

extension Client {
    /// Starts a run of a workflow whose code need not be in this process, or finds the one that was started with the same key and input, as
    /// `Engine.start` does. When it returns, the run is durable; whoever hosts the workflow takes it on.
    ///
    /// Whether the workflow can read the input is known only to its code. A run that cannot read it is blocked, and says which place of the
    /// input is meant: it goes on with code that can, or somebody ends it.
    ///
    /// - Parameters:
    ///   - version: The version that is started, also if nobody hosts it yet. Without one it is the newest that is hosted.
    ///   - json: The input, at most 8 MiB.
    ///   - namespace: Where the run belongs. Default: the client's own namespace, or `default`.
    /// - Returns: The run, and whether this call started it.
    /// - Throws: `PerdureError` with `workflow_unknown` if no version is given and nobody hosts one, `name_invalid` (workflow, version,
    ///   namespace, key or queue), `label_invalid`, `input_undecodable` for what is not JSON, `payload_too_large`, `queue_unknown`,
    ///   `quota_exceeded`, `run_conflict`, or `usage` for a namespace that the client is not confined to. If its `mayHaveHappened` is
    ///   true it is not known whether the run was started: repeat the call with the same key.
    public func start(
        workflow: String, version: WorkflowVersion? = nil, json: Data, key: String? = nil, labels: [String: String] = [:],
        deadline: Duration? = nil, queue: QueuePlace? = nil, in namespace: String? = nil, by sender: Principal
    ) async throws -> (run: RunID, isNew: Bool) {
        let options = try StartOptions(key: key, labels: labels, deadline: deadline, queue: queue)
        let namespace = namespace ?? ownNamespace
        try Self.require(namespace: namespace)
        try requireOwn(namespace)
        guard Name.isIdentifier(workflow) else {
            throw PerdureError(
                .nameInvalid, "'\(workflow.prefix(200))' cannot be a workflow: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        if let version, !version.isValid {
            throw PerdureError(
                .nameInvalid, "'\(version)' cannot be a version: use up to 64 letters, digits, '-' and '_' in parts with dots.")
        }
        let input: Payload
        do {
            input = try Payload(inputOf: workflow, json: json)
        } catch {
            throw PerdureError(error)
        }
        // One that was started before is found, whoever hosts what by now.
        if let known = try await keyHolder(options.key, of: workflow, in: namespace) {
            return (try CommitResult.keyTaken(known).started(workflow, key: options.key, input: input).record.id, false)
        }
        let version = if let version { version } else { try await newestHosted(workflow) }
        let code = RegisteredWorkflow(absent: workflow, version.description)
        let (record, isNew) = try await place(code, input, options, in: namespace, build: build, by: sender)
        return (record.id, isNew)
    }

    /// The run that has the key, if one has it.
    package func keyHolder(_ key: String?, of workflow: String, in namespace: String) async throws -> RunRecord? {
        guard let key else { return nil }
        return try await guarded { try await store.run(namespace: namespace, workflow: workflow, key: Name.normalized(key)) }
    }

    private func newestHosted(_ workflow: String) async throws -> WorkflowVersion {
        let hosted = try await livingNodes().flatMap(\.hosted).filter { $0.workflow == workflow }
        guard let newest = hosted.map({ WorkflowVersion($0.version) }).max() else {
            throw PerdureError(
                .workflowUnknown,
                "Nobody hosts workflow '\(workflow)'. Start a node that does, or name the version that the run is to begin with.")
        }
        return newest
    }
}
