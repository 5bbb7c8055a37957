/// What `Step` and `IrreversibleStep` have in common; conform to one of these.
public protocol StepDeclaration: Sendable {
    associatedtype Input: Codable & Sendable
    associatedtype Output: Codable & Sendable

    /// Names the step in history, within its scope.
    static var name: String { get }

    /// What repeating the step would do. The engine acts on it after a crash.
    var effect: Effect<Input, Output> { get }

    /// How the step is retried and how long one attempt may take. Default: `StepPolicy.default`.
    var policy: StepPolicy { get }

    /// The decision that the step waits for before it is released. Default: none.
    var approval: ApprovalRequirement? { get }

    /// Does the work. The engine calls it again as `policy` says and as `effect` allows, and tells it of a cancellation through its
    /// task. Errors are taken as "may have happened" unless they are a `ClassifiedError` that says otherwise.
    @concurrent func perform(_ input: Input, _ step: StepContext) async throws -> Output
}

extension StepDeclaration {
    public var policy: StepPolicy { .default }
    public var approval: ApprovalRequirement? { nil }
}

/// A step as a type of its own, for work that several workflows share and that can be undone.
public protocol Step: StepDeclaration {
    /// What repeating the undo would do. Default: `.idempotent`, safe to repeat, also when the thing is already gone.
    var undoing: UndoEffect<Output> { get }

    /// Reverses a step that happened. It needs nothing but what was recorded, so that it can run without the workflow's code. The
    /// engine retries it without limit; it is not told of cancellations, and the run's deadline does not apply.
    @concurrent func undo(_ output: Output, of input: Input, _ step: StepContext) async throws
}

extension Step {
    public var undoing: UndoEffect<Output> { .idempotent }
}

/// A step as a type of its own, for work that several workflows share and that cannot be undone.
public protocol IrreversibleStep: StepDeclaration {
    /// Why there is no undo; shown to whoever looks at a run that failed afterwards.
    var reason: String { get }
}

extension WorkflowContext {
    /// Does the work of a typed step, records its result, and can undo it.
    ///
    /// The engine tries again as the step's policy says and as its effect allows.
    ///
    /// - Throws: `StepFailure` when the step surely did not happen and will not. A step that may have happened parks instead. When
    ///   the task is cancelled, the step is told at once; `CancellationError` is thrown when the outcome is recorded, after the step
    ///   was undone if it happened.
    @discardableResult
    public nonisolated(nonsending) func step<S: Step>(
        _ step: S, id: String? = nil, key: String? = nil, input: S.Input
    ) async throws -> S.Output {
        var call = StepCall(of: step, id: id, key: key, input: input)
        call.undo = UndoCall(of: S.name, step.undoing) { output, context in try await step.undo(output, of: input, context) }
        return try await host.perform(call, isolation: #isolation, returning: S.Output.self)
    }

    /// Does the work of a typed step, records its result, and never undoes it.
    ///
    /// The engine tries again as the step's policy says and as its effect allows.
    ///
    /// - Throws: `StepFailure` when the step surely did not happen and will not. A step that may have happened parks instead. When
    ///   the task is cancelled, the step is told at once; `CancellationError` is thrown when the outcome is recorded, and a step that
    ///   happened stays.
    @discardableResult
    public nonisolated(nonsending) func step<S: IrreversibleStep>(
        _ step: S, id: String? = nil, key: String? = nil, input: S.Input
    ) async throws -> S.Output {
        var call = StepCall(of: step, id: id, key: key, input: input)
        call.irreversible = step.reason
        return try await host.perform(call, isolation: #isolation, returning: S.Output.self)
    }
}

extension StepCall {
    fileprivate init<S: StepDeclaration>(of step: S, id: String?, key: String?, input: S.Input) {
        self.init(name: S.name, id: id, key: key, input: input, step.effect, policy: step.policy, approval: step.approval) {
            input, context in try await step.perform(input, context)
        }
    }
}
