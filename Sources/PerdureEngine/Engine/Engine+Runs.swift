import CoreMetrics
public import Foundation
import Logging
public import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

extension Engine {
    /// Starts a run, or finds the one that was started with the same key and input.
    ///
    /// - Parameters:
    ///   - key: Makes the start repeatable: one key, one run of this workflow in the namespace.
    ///   - labels: Names and values that the run is found by, at most 32; see `WorkflowContext.label`.
    ///   - deadline: How long the run may take from now on. Then it is cancelled: its code gets `CancellationError`, what it did is undone,
    ///     and it fails with `deadline_passed`. At least 1 ms. Without one it may take for ever.
    ///   - sender: Who starts it; recorded, and kept from approving the run's actions.
    /// - Throws: `PerdureError` with `workflow_unknown`, `name_invalid`, `label_invalid`, `run_conflict` (the key was used with another input), `payload_too_large`,
    ///   `value_not_encodable` or `engine_stopped`. When it returns, the run is durable.
    public func start<W: Workflow>(
        _ type: W.Type, input: W.Input, key: String? = nil, labels: [String: String] = [:], deadline: Duration? = nil,
        by sender: Principal
    ) async throws -> Run<W.Output> {
        let options = try StartOptions(key: key, labels: labels, deadline: deadline)
        let payload: Payload
        do {
            payload = try Payload.encode(input, limit: configuration.payloadLimit, what: "the input of workflow '\(W.name)'")
        } catch {
            throw PerdureError(error)
        }
        let id = try await start(try registry.require(W.name, version: W.version), payload, options, by: sender)
        return Run(id: id, engine: self)
    }

    /// Starts a run by the workflow's name, with its input as JSON. Without a version the newest is taken.
    public func start(
        workflow: String, version: WorkflowVersion? = nil, json: Data, key: String? = nil, labels: [String: String] = [:],
        deadline: Duration? = nil, by sender: Principal
    ) async throws -> RunID {
        let options = try StartOptions(key: key, labels: labels, deadline: deadline)
        let registered = try registry.require(workflow, version: version)
        let payload: Payload
        do {
            let what = "the input of workflow '\(workflow)'"
            payload = Payload(bytes: try JSONValue.parse(Array(json), what: what).canonicalBytes)
            guard payload.bytes.count <= configuration.payloadLimit else {
                throw PayloadError.tooLarge(what: what, size: payload.bytes.count, limit: configuration.payloadLimit)
            }
            try registered.checkInput(payload)
        } catch let error as PayloadError {
            throw PerdureError(error)
        }
        return try await start(registered, payload, options, by: sender)
    }

    private func start(
        _ workflow: RegisteredWorkflow, _ input: Payload, _ options: StartOptions, by sender: Principal
    ) async throws -> RunID {
        let isRunning = state.withLock { state in
            guard state.phase == .running, state.table.ownedCount + state.loading < configuration.activeRuns else { return false }
            state.loading += 1
            return true
        }
        defer { if isRunning { giveRoomBack() } }
        let run = NewRun(
            workflow, input: input, options: options, namespace: configuration.namespace, by: sender, build: build, node: node,
            isOwned: isRunning, now: store.now(), random: configuration.random)
        switch try await client.deliver(.create(run)) {
        case .created(let record):
            metrics.started.increment()
            if record.owner == node, record.epoch == run.record.epoch, record.state == .running {
                let head = run.events.last.map(ChainHead.init(after:))
                if let head {
                    let claim = ClaimedRun(record: record, previous: .ready, head: head, isTakeover: false)
                    activate(claim, workflow, run.events, [], [], services)
                }
            }
            return record.id
        case .keyTaken(let existing):
            let digest = SaltedDigest.hex(salt: existing.salt, canonicalBytes: input.bytes)
            guard existing.inputDigest == digest else {
                throw PerdureError(
                    .runConflict,
                    "The key '\(options.key ?? "")' belongs to run \(existing.id) of workflow '\(workflow.name)', which was started with another input. "
                        + "Use another key, or the same input.",
                    metadata: [("run", existing.id.description)])
            }
            return existing.id
        case .refused(let refusal):
            throw PerdureError(.storeUnavailable, "The run was not started: \(refusal).")
        case .advanced, .delivered:
            throw PerdureError(.storeUnavailable, "The store gave an answer that makes no sense; the run may have been started.")
        }
    }

    // MARK: Results

    /// Waits for the run to close and returns its recorded output as JSON.
    ///
    /// - Throws: `PerdureError` with `run_failed`, `run_cancelled`, `run_terminated`, `run_quarantined`, `run_unknown`, or
    ///   `engine_stopped` if this engine ends first. Cancelling the task ends the wait, not the run.
    public func result(of id: RunID) async throws -> Data {
        while true {
            let record = try await client.record(id)
            if record.state.isFinal || record.state == .quarantined { return try await output(of: record) }
            try Task.checkCancellation()
            try await waitForChange(of: id)
        }
    }

    private func waitForChange(of id: RunID) async throws {
        let ticket = WaitTicket()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isStopped = state.withLock { state in
                    if state.phase == .stopped { return true }
                    state.waiters[id, default: []].append(continuation)
                    return false
                }
                if isStopped || ticket.isCancelled { wakeWaiters(of: id) }
                if isStopped { continuation.resume() }
                // The run may have closed between the look at its row and now.
                recheck(id)
            }
        } onCancel: {
            ticket.cancel()
            wakeWaiters(of: id)
        }
        try Task.checkCancellation()
        if state.withLock({ $0.phase == .stopped }) {
            throw PerdureError(.engineStopped, "The engine has stopped; run \(id) goes on when the store is opened again.")
        }
    }

    private func recheck(_ id: RunID) {
        Task { [self] in
            guard let record = try? await store.run(id), record.state.isFinal || record.state == .quarantined else { return }
            wakeWaiters(of: id)
        }
    }

    func wakeWaiters(of id: RunID) {
        let waiters = state.withLock { $0.waiters.removeValue(forKey: id) ?? [] }
        for waiter in waiters { waiter.resume() }
    }

    private func output(of record: RunRecord) async throws -> Data {
        if record.state == .quarantined {
            throw PerdureError(
                .runQuarantined, record.note ?? "The history of run \(record.id) is broken.", metadata: [("run", "\(record.id)")])
        }
        let view = RunView(try await client.history(of: record.id))
        guard let final = view.final else {
            throw PerdureError(
                .storeCorrupt, "Run \(record.id) is closed but its history has no end.", metadata: [("run", "\(record.id)")])
        }
        switch final.kind {
        case .runCompleted:
            guard case .inline(let bytes)? = final.output else { return Data("{}".utf8) }
            return Data(bytes)
        case .runCancelled:
            throw PerdureError(.runCancelled, "Run \(record.id) was cancelled.", metadata: [("run", "\(record.id)")])
        case .runTerminated:
            throw PerdureError(.runTerminated, "Run \(record.id) was terminated.", metadata: [("run", "\(record.id)")])
        default:
            let attributes = (try? final.attributes.object()) ?? JSONObject()
            let failure = "\(attributes["code"]?.stringValue ?? ""): \(attributes["message"]?.stringValue ?? "")"
            throw PerdureError(.runFailed, "Run \(record.id) failed: \(failure)", metadata: [("run", "\(record.id)")])
        }
    }
}

private final class WaitTicket: Sendable {
    private let state = Mutex(false)
    var isCancelled: Bool { state.withLock { $0 } }
    func cancel() { state.withLock { $0 = true } }
}

/// A run that was started, with the type of its result.
public struct Run<Output: Codable & Sendable>: Sendable {
    public let id: RunID
    private let engine: Engine

    init(id: RunID, engine: Engine) {
        self.id = id
        self.engine = engine
    }

    /// Waits for the run to close and returns what the workflow returned. Errors are those of `Engine.result(of:)`.
    public func result() async throws -> Output {
        let json = try await engine.result(of: id)
        do {
            return try Payload(bytes: Array(json)).decode(Output.self, what: "the output of run \(id)")
        } catch {
            throw PerdureError(error)
        }
    }
}
