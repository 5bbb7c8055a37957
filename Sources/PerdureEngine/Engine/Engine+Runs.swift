import CoreMetrics
public import Foundation
import Logging
public import Perdure
package import PerdureHistory
package import PerdureStore
import Synchronization

extension Engine {
    /// Starts a run, or finds the one that was started with the same key and input. When it returns, the run is durable.
    ///
    /// May be called before `run()`; the run is taken on when that is called.
    ///
    /// - Parameters:
    ///   - type: The workflow; this version of it is started.
    ///   - key: Makes the start repeatable: one key, one run of this workflow in the namespace. A key stays with its run also after that
    ///     has closed, however it ended and whatever version it was started on, and after its history has expired, until its tombstone is
    ///     gone (`EngineConfiguration.tombstoneRetention`). Where runs continue each other it is the last one's, and the input that counts
    ///     is that of the first. Without a key every call starts a run.
    ///   - labels: Names and values that the run is found by, at most 32; see `WorkflowContext.label`.
    ///   - deadline: How long the run may take from now on. Then it is cancelled: its code gets `CancellationError`, what it did is undone,
    ///     and it fails with `deadline_passed`. At least 1 ms. Without one it may take for ever.
    ///   - queue: The place that it takes in a queue: none of its code runs before the queue admits it; see `Client.setQueue`. Without one
    ///     it begins at once. The time that it waits there counts for its deadline.
    ///   - sender: Who starts it; recorded, and kept from approving the run's actions.
    /// - Returns: A handle to the run; `isNew` says whether this call started it.
    /// - Throws: `PerdureError` with `workflow_unknown`, `name_invalid` (the key, or the place in a queue), `label_invalid`,
    ///   `queue_unknown`, `quota_exceeded`, `run_conflict` (the key was used with another input), `payload_too_large`,
    ///   `value_not_encodable` or `engine_stopped`. If its `mayHaveHappened` is true it is not known whether the run was started: repeat
    ///   the call with the same key.
    public func start<W: Workflow>(
        _ type: W.Type, input: W.Input, key: String? = nil, labels: [String: String] = [:], deadline: Duration? = nil,
        queue: QueuePlace? = nil, by sender: Principal
    ) async throws -> Run<W.Output> {
        let options = try StartOptions(key: key, labels: labels, deadline: deadline, queue: queue)
        let payload: Payload
        do {
            payload = try Payload.encode(input, limit: configuration.payloadLimit, what: "the input of workflow '\(W.name)'")
        } catch {
            throw PerdureError(error)
        }
        let (record, isNew) = try await start(try registry.require(W.name, version: W.version), payload, options, by: sender)
        return Run(id: record.id, isNew: isNew, engine: self)
    }

    /// Starts a run by the workflow's name, with its input as JSON, or finds the one with the same key and input, as the other `start`
    /// does. Without a version the newest is taken.
    ///
    /// - Throws: As the other `start`, and `input_undecodable` if the workflow cannot read the input.
    public func start(
        workflow: String, version: WorkflowVersion? = nil, json: Data, key: String? = nil, labels: [String: String] = [:],
        deadline: Duration? = nil, queue: QueuePlace? = nil, by sender: Principal
    ) async throws -> RunID {
        let options = try StartOptions(key: key, labels: labels, deadline: deadline, queue: queue)
        let registered = try registry.require(workflow, version: version)
        let payload: Payload
        do {
            payload = try registered.input(json: json, limit: configuration.payloadLimit)
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
        return try await start(registered, payload, options, by: sender).record.id
    }

    /// - Parameter workflow: One that the engine hosts.
    package func start(
        _ workflow: RegisteredWorkflow, _ input: Payload, _ options: StartOptions, by sender: Principal
    ) async throws -> (record: RunRecord, isNew: Bool) {
        let isRunning = state.withLock { state in
            // Whoever waits for a turn is nobody's.
            guard options.queue == nil, state.phase == .running, state.table.ownedCount + state.loading < configuration.activeRuns
            else { return false }
            state.loading += 1
            return true
        }
        defer { if isRunning { giveRoomBack() } }
        let run = NewRun(
            workflow, input: input, options: options, namespace: configuration.namespace, by: sender, build: build, node: node,
            isOwned: isRunning, now: store.now(), random: configuration.random)
        let (record, isNew) = try await client.deliver(.create(run)).started(workflow.name, key: options.key, input: input)
        guard isNew else { return (record, false) }
        metrics.started.increment()
        if record.queue != nil { admissions.noteQueue() }
        if record.owner == node, record.epoch == run.record.epoch, record.state == .running {
            let head = run.events.last.map(ChainHead.init(after:))
            if let head {
                let claim = ClaimedRun(record: record, previous: .ready, head: head, isTakeover: false)
                activate(started: claim, workflow, run.events, services)
            }
        }
        return (record, true)
    }
}
