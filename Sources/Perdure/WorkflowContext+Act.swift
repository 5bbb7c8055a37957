extension WorkflowContext {
    /// Does work outside that has no result, and can undo it.
    ///
    /// The engine tries again as `policy` says and as `effect` allows. If the run fails or is cancelled later, `undo` runs as a
    /// durable step of its own, retried without limit, whatever was cancelled.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: What repeating the step would do. The engine acts on it after a crash.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - undoing: What repeating the undo would do. By default it is safe to repeat, also when the thing is already gone.
    ///   - undo: Receives the recorded input.
    /// - Throws: `StepFailure` when the step surely did not happen and will not: refused by the other side, denied, expired, or
    ///   exhausted under a policy that throws. A step that may have happened is in doubt instead,
    ///   until its probe or a person says what became of it. When the task is cancelled, the body is
    ///   told at once; `CancellationError` is thrown when the outcome is recorded, after the step was undone if it happened.
    ///   `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func act<Input: Codable & Sendable>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Input> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws {
        var call = StepCall(name: name, id: id, key: key, acting: input, effect, policy: policy, approval: approval, body)
        call.undo = UndoCall(taking: input, undoing, undo)
        _ = try await host.perform(call, isolation: #isolation, returning: Nothing.self)
    }

    /// Does work outside that has no result, and never undoes it.
    ///
    /// The engine tries again as `policy` says and as `effect` allows. If the run fails or is cancelled later, the step stays.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: What repeating the step would do. The engine acts on it after a crash.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - irreversible: Why there is no undo; shown to whoever looks at a run that failed afterwards.
    /// - Throws: `StepFailure` when the step surely did not happen and will not: refused by the other side, denied, expired, or
    ///   exhausted under a policy that throws. A step that may have happened is in doubt instead,
    ///   until its probe or a person says what became of it. When the task is cancelled, the body is
    ///   told at once; `CancellationError` is thrown when the outcome is recorded, and a step that happened stays. `PerdureError` if
    ///   the call cannot be made: let it through.
    public nonisolated(nonsending) func act<Input: Codable & Sendable>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws {
        var call = StepCall(name: name, id: id, key: key, acting: input, effect, policy: policy, approval: approval, body)
        call.irreversible = irreversible
        _ = try await host.perform(call, isolation: #isolation, returning: Nothing.self)
    }
}
