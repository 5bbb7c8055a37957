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

// A result where none is recorded, and none where one is.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "a step records a result; for work without one use 'act'"
    )
    public nonisolated(nonsending) func step<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Void> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Void, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a step records a result; for work without one use 'act'"
    )
    public nonisolated(nonsending) func step<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

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

    @available(
        *, unavailable,
        message: "a read records a result, so its body has to return one; for work outside without a result use 'act'"
    )
    public nonisolated(nonsending) func read<Input>(
        _ name: String, id: String? = nil, input: Input, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a read records a result, so its body has to return one; for work outside without a result use 'act'"
    )
    public nonisolated(nonsending) func read(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a read records a result, so its body has to return one; for work outside without a result use 'act'"
    )
    public nonisolated(nonsending) func read(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Void
    ) async throws { never() }
}

// Values that cannot be recorded.
extension WorkflowContext {
    @available(
        *, unavailable,
        message: "a step's input and result are recorded, so both must be Codable; record a reference to a secret, not the secret"
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
        message: "a step's input and result are recorded, so both must be Codable; record a reference to a secret, not the secret"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Output>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "an act's input is recorded, so it must be Codable; record a reference to a secret, not the secret"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, undoing: UndoEffect<Input> = .idempotent,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void,
        undo: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "an act's input is recorded, so it must be Codable; record a reference to a secret, not the secret"
    )
    public nonisolated(nonsending) func act<Input>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: Effect<Input, Void>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Void
    ) async throws { never() }

    @available(
        *, unavailable,
        message: "a read's input and result are recorded, so both must be Codable; record a reference to a secret, not the secret"
    )
    public nonisolated(nonsending) func read<Input, Output>(
        _ name: String, id: String? = nil, input: Input, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (Input, StepContext) async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a read's input and result are recorded, so both must be Codable; record a reference to a secret, not the secret"
    )
    public nonisolated(nonsending) func read<Output>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable () async throws -> Output
    ) async throws -> Output { never() }

    @available(
        *, unavailable,
        message: "a read's input and result are recorded, so both must be Codable; record a reference to a secret, not the secret"
    )
    public nonisolated(nonsending) func read<Output>(
        _ name: String, id: String? = nil, policy: StepPolicy = .default,
        _ body: @escaping @concurrent @Sendable (StepContext) async throws -> Output
    ) async throws -> Output { never() }
}

private func never() -> Never { preconditionFailure("an unavailable overload was called") }
