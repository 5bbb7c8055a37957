extension WorkflowContext {
    /// Does the work of a typed step, records its result, and can undo it.
    ///
    /// The engine tries again as the step's policy says and as its effect allows.
    ///
    /// - Parameters:
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay.
    /// - Throws: `StepFailure` when the step surely did not happen and will not. A step that may have happened is in doubt instead,
    ///   until its probe or a person says what became of it. When
    ///   the task is cancelled, the step is told at once; `CancellationError` is thrown when the outcome is recorded, after the step
    ///   was undone if it happened. `PerdureError` if the call cannot be made: let it through.
    @discardableResult
    public nonisolated(nonsending) func step<S: Step>(
        _ step: S, id: String? = nil, key: String? = nil, input: S.Input
    ) async throws -> S.Output {
        try await host.perform(
            StepCall(step, id: id, key: key, input: input), isolation: #isolation, returning: S.Output.self)
    }

    /// Does the work of a typed step, records its result, and never undoes it.
    ///
    /// The engine tries again as the step's policy says and as its effect allows.
    ///
    /// - Parameters:
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay.
    /// - Throws: `StepFailure` when the step surely did not happen and will not. A step that may have happened is in doubt instead,
    ///   until its probe or a person says what became of it. When
    ///   the task is cancelled, the step is told at once; `CancellationError` is thrown when the outcome is recorded, and a step that
    ///   happened stays. `PerdureError` if the call cannot be made: let it through.
    @discardableResult
    public nonisolated(nonsending) func step<S: IrreversibleStep>(
        _ step: S, id: String? = nil, key: String? = nil, input: S.Input
    ) async throws -> S.Output {
        var call = StepCall(
            name: S.name, id: id, key: key, input: input, step.effect, policy: step.policy, approval: step.approval
        ) { input, context in try await step.perform(input, context) }
        call.irreversible = step.reason
        return try await host.perform(call, isolation: #isolation, returning: S.Output.self)
    }
}
