// Overloads that nothing can call. Each has the shape of a call that lacks something, and says in a sentence what it is. Without
// them the compiler would speak of missing arguments or of 'Void' and 'Encodable'. Right calls are not touched: the compiler takes
// an unavailable overload only where no other fits. CompileFailureTests compares the texts.

// What is missing: the undo, the effect, or both.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "a step says how it is undone: 'undo: { output, step in … }' after the body or 'irreversible: \"why\"' before it"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step says its effect and its undo: step(name, input:, EFFECT) { … } undo: { … }; without an effect: 'read'"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act says how it is undone: 'undo: { input, step in … }' after the body or 'irreversible: \"why\"' before it"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act says what repeating it would do: '.idempotent(retention:)' or '.atMostOnce(inDoubt:)' after 'input:'"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act says its effect and its undo: act(name, input:, EFFECT) { … } undo: { … }"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }
}

// The input is missing.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Output>(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Output>(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Output> = .idempotent,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    public nonisolated(nonsending) func act(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    public nonisolated(nonsending) func act(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Nothing> = .idempotent,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Output>(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Output>(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Output> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    public nonisolated(nonsending) func act(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act records an input and hands it to its body: add 'input:' ('input: Nothing()' if there is none)"
    )
    public nonisolated(nonsending) func act(
        _ name: String, id: String? = nil, key: String? = nil, _ effect: Effect<Nothing, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Nothing> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Nothing, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a step says its effect and its undo: step(name, input:, EFFECT) { … } undo: { … }; without an effect: 'read'"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Output>(
        _ name: String, id: String? = nil, key: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act says its effect and its undo: act(name, input:, EFFECT) { … } undo: { … }"
    )
    public nonisolated(nonsending) func act(
        _ name: String, id: String? = nil, key: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Void
    ) async throws { never() }
}

// A result where none is recorded.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "an act records no result; for work with one use 'step'"
    )
    @discardableResult
    public nonisolated(nonsending) func act<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Input> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act records no result; for work with one use 'step'"
    )
    @discardableResult
    public nonisolated(nonsending) func act<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }
}

// Values that cannot be recorded.
extension WorkflowContext {
    // Beside the next one, since the compiler gives up on the undo's parameter where a body of several statements returns a secret.
    @available(
        *, unavailable,
        message: "a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Value>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Secret<Value>>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Secret<Value>> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Secret<Value>,
        undo: @escaping @concurrent @Sendable (Secret<Value>, StepContext) async throws -> Void
    ) async throws -> Secret<Value> { never() }

    @available(
        *, unavailable,
        message: "a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Output> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output,
        undo: @escaping @concurrent @Sendable (Output, StepContext) async throws -> Void
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a step records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act records its input, so it must be Codable; of a secret record a reference"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Input> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act records its input, so it must be Codable; of a secret record a reference"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    public nonisolated(nonsending) func read<Input, Output>(
        _ name: String, id: String? = nil, input: Input, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    public nonisolated(nonsending) func read<Output>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a read records its input and result: both must be Codable; without a result use 'act', of a secret a reference"
    )
    public nonisolated(nonsending) func read<Output>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output
    ) async throws -> Output { never() }
}

func never() -> Never { preconditionFailure("an unavailable overload was called") }
