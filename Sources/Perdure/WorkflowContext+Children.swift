extension WorkflowContext {
    /// Runs another workflow as a child of this run, waits for it, and can undo it.
    ///
    /// The child is a run of its own: in this run's namespace, with its own history, under an id that is derived from this run and the
    /// call, so that there is one whatever crashes. This run does not close before it, unless it was abandoned.
    ///
    /// - Parameters:
    ///   - type: The child's workflow. A node that starts it has to host this version of it.
    ///   - id: Tells apart children of the same workflow that are asked for by several tasks.
    ///   - input: Recorded, and compared on replay.
    ///   - policy: What becomes of the child when the wait is cancelled or this run is terminated.
    ///   - undoing: What repeating the undo would do. By default it is safe to repeat, also when there is nothing left to undo.
    ///   - undo: Runs as a durable step of this run if it fails or is cancelled after the child has completed. Receives the child's
    ///     output.
    /// - Throws: the `StepFailure` that the child failed with, or one with `child_cancelled` or `child_terminated` if somebody else ended
    ///   it. When the task is cancelled, so is the child; `CancellationError` is thrown when it has ended, after it was undone if it
    ///   completed. An abandoned child is not waited for. `PerdureError` says that the call could not be made (a name that is taken, an
    ///   input that cannot be recorded, a workflow that nobody hosts), and blocks the run.
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, input: W.Input, policy: ChildPolicy = .cancel,
        undoing: UndoEffect<W.Output> = .idempotent,
        undo: @escaping @concurrent @Sendable (W.Output, StepContext) async throws -> Void
    ) async throws -> W.Output {
        var call = ChildCall(type, id: id, input: input, policy)
        call.undo = UndoCall(of: W.name, undoing, undo)
        return try await host.child(call, isolation: #isolation, returning: W.Output.self)
    }

    /// Runs another workflow as a child of this run, waits for it, and never undoes it.
    ///
    /// The child is a run of its own: in this run's namespace, with its own history, under an id that is derived from this run and the
    /// call, so that there is one whatever crashes. This run does not close before it, unless it was abandoned.
    ///
    /// - Parameters:
    ///   - type: The child's workflow. A node that starts it has to host this version of it.
    ///   - id: Tells apart children of the same workflow that are asked for by several tasks.
    ///   - input: Recorded, and compared on replay.
    ///   - policy: What becomes of the child when the wait is cancelled or this run is terminated.
    ///   - irreversible: Why there is no undo; shown to whoever looks at a run that failed afterwards.
    /// - Throws: the `StepFailure` that the child failed with, or one with `child_cancelled` or `child_terminated` if somebody else ended
    ///   it. When the task is cancelled, so is the child; `CancellationError` is thrown when it has ended, and what it completed stays.
    ///   An abandoned child is not waited for. `PerdureError` says that the call could not be made (a name that is taken, an input that
    ///   cannot be recorded, a workflow that nobody hosts), and blocks the run.
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, input: W.Input, policy: ChildPolicy = .cancel, irreversible: String
    ) async throws -> W.Output {
        var call = ChildCall(type, id: id, input: input, policy)
        call.irreversible = irreversible
        return try await host.child(call, isolation: #isolation, returning: W.Output.self)
    }

    /// Starts another workflow as a child that goes on by itself, and returns its id as soon as the start is durable.
    ///
    /// Nothing of it comes back: this run neither waits for it nor cancels, terminates or undoes it.
    ///
    /// - Parameters:
    ///   - type: The child's workflow. A node that starts it has to host this version of it.
    ///   - id: Tells apart children of the same workflow that are asked for by several tasks.
    ///   - input: Recorded, and compared on replay.
    ///   - irreversible: Why the start is not undone; shown to whoever looks at a run that failed afterwards.
    /// - Throws: `CancellationError` when the task is cancelled before the start; then there is no child. `PerdureError` says that the
    ///   call could not be made (a name that is taken, an input that cannot be recorded, a workflow that nobody hosts), and blocks the run.
    @discardableResult
    public nonisolated(nonsending) func startChild<W: Workflow>(
        _ type: W.Type, id: String? = nil, input: W.Input, irreversible: String
    ) async throws -> RunID {
        var call = ChildCall(type, id: id, input: input, .abandon)
        call.isDetached = true
        call.irreversible = irreversible
        return try await host.child(call, isolation: #isolation, returning: RunID.self)
    }
}

extension ChildCall {
    init<W: Workflow>(_ type: W.Type, id: String?, input: W.Input, _ policy: ChildPolicy) {
        self.init(
            workflow: W.name, version: W.version, id: id, input: input, outputType: W.Output.self, policy: policy)
    }
}

// Overloads that nothing can call, as in WorkflowContext+Diagnostics.swift: each says in a sentence what is missing.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "a child says how it is undone: 'undo: { output, step in … }' or 'irreversible: \"why\"' after 'input:'"
    )
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, input: W.Input, policy: ChildPolicy = .cancel
    ) async throws -> W.Output { never() }

    @available(
        *, unavailable,
        message: "a child records an input: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, policy: ChildPolicy = .cancel, undoing: UndoEffect<W.Output> = .idempotent,
        undo: @escaping @concurrent @Sendable (W.Output, StepContext) async throws -> Void
    ) async throws -> W.Output { never() }

    @available(
        *, unavailable,
        message: "a child records an input: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, policy: ChildPolicy = .cancel, irreversible: String
    ) async throws -> W.Output { never() }

    @available(
        *, unavailable,
        message: "a child says its input and its undo: child(TYPE, input:) { … }, or 'irreversible: \"why\"' after 'input:'"
    )
    @discardableResult
    public nonisolated(nonsending) func child<W: Workflow>(
        _ type: W.Type, id: String? = nil, policy: ChildPolicy = .cancel
    ) async throws -> W.Output { never() }

    @available(
        *, unavailable,
        message: "a child that goes on by itself is not undone: say why with 'irreversible: \"why\"' after 'input:'"
    )
    @discardableResult
    public nonisolated(nonsending) func startChild<W: Workflow>(
        _ type: W.Type, id: String? = nil, input: W.Input
    ) async throws -> RunID { never() }
}
