/// A step as a type of its own, for work that several workflows share and that can be undone. A step without a result has the output
/// `Nothing`.
public protocol Step: Sendable {
    associatedtype Input: Codable & Sendable
    associatedtype Output: Codable & Sendable

    /// Names the step in history, within its scope: 1 to 128 bytes of text without control characters, `/`, `#`, `[` and `]`.
    static var name: String { get }

    /// What repeating the step would do. The engine acts on it after a crash.
    var effect: Effect<Input, Output> { get }

    /// How the step is retried and how long one attempt may take. Default: `StepPolicy.default`.
    var policy: StepPolicy { get }

    /// The decision that the step waits for before it is released. Default: none.
    var approval: ApprovalRequirement? { get }

    /// What repeating the undo would do. Default: `.idempotent`, safe to repeat, also when the thing is already gone.
    var undoing: UndoEffect<Output> { get }

    /// Does the work. The engine calls it again as `policy` says and as `effect` allows, and tells it of a cancellation through its
    /// task. An error means "it may have happened" unless it is a `ClassifiedError` that says otherwise.
    @concurrent func perform(_ input: Input, _ step: StepContext) async throws -> Output

    /// Reverses a step that happened. It gets all it needs from what was recorded, so that it can run without the workflow's code.
    /// The engine retries it without limit; it is not told of cancellations, and the run's deadline does not apply.
    @concurrent func undo(_ output: Output, of input: Input, _ step: StepContext) async throws
}

extension Step {
    public var policy: StepPolicy { .default }
    public var approval: ApprovalRequirement? { nil }
    public var undoing: UndoEffect<Output> { .idempotent }
}

/// A step as a type of its own, for work that several workflows share and that cannot be undone. A step without a result has the
/// output `Nothing`.
public protocol IrreversibleStep: Sendable {
    associatedtype Input: Codable & Sendable
    associatedtype Output: Codable & Sendable

    /// Names the step in history, within its scope: 1 to 128 bytes of text without control characters, `/`, `#`, `[` and `]`.
    static var name: String { get }

    /// What repeating the step would do. The engine acts on it after a crash.
    var effect: Effect<Input, Output> { get }

    /// How the step is retried and how long one attempt may take. Default: `StepPolicy.default`.
    var policy: StepPolicy { get }

    /// The decision that the step waits for before it is released. Default: none.
    var approval: ApprovalRequirement? { get }

    /// Why there is no undo; shown to whoever looks at a run that failed afterwards.
    var reason: String { get }

    /// Does the work. The engine calls it again as `policy` says and as `effect` allows, and tells it of a cancellation through its
    /// task. An error means "it may have happened" unless it is a `ClassifiedError` that says otherwise.
    @concurrent func perform(_ input: Input, _ step: StepContext) async throws -> Output
}

extension IrreversibleStep {
    public var policy: StepPolicy { .default }
    public var approval: ApprovalRequirement? { nil }
}
