public import Perdure
import PerdureHistory
import PerdureStore

/// A handle to one run, with the type of its result. It holds nothing but the run's id and its engine; the run does not depend on it.
///
/// `Engine.start` gives one, and `Engine.find` one to a run that was started before, also by another process.
public struct Run<Output: Codable & Sendable>: Sendable {
    /// The run's public id. Keep it, or the key, to find the run again.
    public let id: RunID
    /// Whether the call that gave this handle has started the run. `false` if it found the run that has the key.
    public let isNew: Bool
    private let engine: Engine

    init(id: RunID, isNew: Bool, engine: Engine) {
        self.id = id
        self.isNew = isNew
        self.engine = engine
    }

    /// Waits for the run to close and returns what the workflow returned.
    ///
    /// Runs move only while `Engine.run()` is being executed: called before that, this waits for it. May be called any number of times.
    ///
    /// - Throws: `PerdureError` as `Engine.result(of:)` does. With `run_failed`, `failure?.decoded(as:)` gives the error that the workflow
    ///   or a step threw, if its type is `Codable`. Cancelling the task ends the wait, not the run.
    public func result() async throws -> Output {
        let json = try await engine.result(of: id)
        do {
            return try Payload(bytes: Array(json)).decode(Output.self, what: "the output of run \(id)")
        } catch {
            throw PerdureError(error)
        }
    }

    /// How the run stands now, as its row shows it.
    ///
    /// - Throws: `PerdureError` with `run_unknown` if it and its tombstone are gone, or the store's code.
    public func info() async throws -> RunInfo { try await engine.client.run(id) }

    /// Sends a signal. When it returns, the signal is durable; the run gets it when it asks.
    ///
    /// - Parameter delivery: Names this delivery, which is then taken in once however often it is sent.
    /// - Throws: `PerdureError` with `run_closed`, `value_not_encodable`, `payload_too_large`, `name_invalid` or `engine_stopped`.
    public func signal<S: Signal>(
        _ type: S.Type, _ payload: S.Payload, id delivery: String? = nil, by sender: Principal
    ) async throws {
        try await engine.client.signal(id, type, payload, id: delivery, by: sender)
    }

    /// Sends an update and waits for its reply, as `Client.update` does.
    ///
    /// - Throws: As `Client.update`.
    public func update<U: Update>(
        _ type: U.Type, _ payload: U.Payload, id update: String? = nil, by sender: Principal
    ) async throws -> U.Reply {
        try await engine.client.update(id, type, payload, id: update, by: sender)
    }

    /// Asks the run to end. It gets `CancellationError` where it waits, and undoes what it has done.
    ///
    /// - Throws: `PerdureError` with `run_closed` or `engine_stopped`.
    public func cancel(by sender: Principal) async throws { try await engine.client.cancel(id, by: sender) }
}

extension Engine {
    /// The run with this id, as a handle with the type of its result; `nil` if there is no such run in the engine's namespace.
    ///
    /// - Throws: `PerdureError` with `usage` if it is a run of another workflow.
    public func find<W: Workflow>(_ type: W.Type, id: RunID) async throws -> Run<W.Output>? {
        guard let record = try await client.guarded({ try await tenant.store.run(id) }) else { return nil }
        guard record.workflow == W.name else {
            throw PerdureError(
                .usage, "Run \(id) is a run of workflow '\(record.workflow)', not of '\(W.name)'.", metadata: [("run", "\(id)")])
        }
        return Run(id: id, isNew: false, engine: self)
    }

    /// The run of this workflow that was started with this key in the engine's namespace; `nil` if there is none.
    ///
    /// - Throws: `PerdureError` with the store's code.
    public func find<W: Workflow>(_ type: W.Type, key: String) async throws -> Run<W.Output>? {
        let key = Name.normalized(key)
        let record = try await client.guarded {
            try await store.run(namespace: configuration.namespace, workflow: W.name, key: key)
        }
        return record.map { Run(id: $0.id, isNew: false, engine: self) }
    }
}
