// Every overload spells out the same rules: the engine retries as the policy says, the values and errors that come back are those
// that history holds, and the wait of a step ends only with a recorded event.

extension WorkflowContext {
    /// Does work without an outside effect and records its result.
    ///
    /// The engine tries again as `policy` says, also after a crash; an attempt whose result was not recorded had no reader.
    ///
    /// - Parameters:
    ///   - name: Names the read in history, within its scope.
    ///   - id: Tells apart reads of the same name that are asked for by several tasks.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    /// - Throws: `StepFailure` when the policy gives up or the error says that trying again is of no use; `CancellationError` at
    ///   once when the task is cancelled, and the read is not sent again. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func read<Input: Codable & Sendable, Output: Codable & Sendable>(
        _ name: String, id: String? = nil, input: Input, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output {
        let call = StepCall(name: name, id: id, input: input, reading: policy) { step in try await body(input, step) }
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }

    /// Does work without an outside effect and without a recorded input, and records its result.
    ///
    /// The engine tries again as `policy` says, also after a crash; an attempt whose result was not recorded had no reader.
    ///
    /// - Throws: `StepFailure` when the policy gives up or the error says that trying again is of no use; `CancellationError` at
    ///   once when the task is cancelled, and the read is not sent again. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func read<Output: Codable & Sendable>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Output
    ) async throws -> Output {
        let call = StepCall(name: name, id: id, input: Nothing(), reading: policy) { _ in try await body() }
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }

    /// Does work without an outside effect and without a recorded input, and records its result. The body receives its attempt.
    ///
    /// The engine tries again as `policy` says, also after a crash; an attempt whose result was not recorded had no reader.
    ///
    /// - Throws: `StepFailure` when the policy gives up or the error says that trying again is of no use; `CancellationError` at
    ///   once when the task is cancelled, and the read is not sent again. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func read<Output: Codable & Sendable>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output
    ) async throws -> Output {
        let call = StepCall(name: name, id: id, input: Nothing(), reading: policy) { step in try await body(step) }
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }
}

extension WorkflowContext {
    /// Does work outside whose result matters, records it, and can undo it.
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
    ///   - undo: Receives the recorded output.
    /// - Throws: `StepFailure` when the step surely did not happen and will not: refused by the other side, denied, expired, or
    ///   exhausted under a policy that throws. A step that may have happened is in doubt instead,
    ///   until its probe or a person says what became of it. When the task is cancelled, the body is
    ///   told at once; `CancellationError` is thrown when the outcome is recorded, after the step was undone if it happened.
    ///   `PerdureError` if the call cannot be made: let it through.
    @discardableResult
    public nonisolated(nonsending) func step<Input: Codable & Sendable, Output: Codable & Sendable>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Output> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) async throws -> Output {
        var call = StepCall(name: name, id: id, key: key, input: input, effect, policy: policy, approval: approval, body)
        call.undo = UndoCall(of: name, undoing, undo)
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }

    /// Does work outside whose result matters, records it, and never undoes it.
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
    @discardableResult
    public nonisolated(nonsending) func step<Input: Codable & Sendable, Output: Codable & Sendable>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output {
        var call = StepCall(name: name, id: id, key: key, input: input, effect, policy: policy, approval: approval, body)
        call.irreversible = irreversible
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }
}
