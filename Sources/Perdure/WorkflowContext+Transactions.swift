// Steps whose effect is a write in the database in which the histories are kept.

extension WorkflowContext {
    /// Writes in the database of the histories, records the result with it, and can undo it.
    ///
    /// The body is synchronous and gets the store's connection. What it writes there and the record of its result are committed as one: a
    /// crash leaves both or neither, so the step happens exactly once and is never in doubt. An error rolls the write back and is definite.
    /// The connection is lent for the call, takes part in no other transaction, and refuses transaction control and the store's own tables.
    /// It must not wait for anything: on SQLite nothing else is written while it runs, on PostgreSQL it holds the rows that it locks, and
    /// up to four bodies run at once. After two seconds on SQLite, ten on PostgreSQL, or after the policy's `attemptTimeout` if that is
    /// shorter, its SQL is interrupted and what it did is taken back: a definite error, which the policy tries again. With an `approval`
    /// its intent is committed before, by itself.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: `.transactional(in:)` with the kind of store that the engine was opened with.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - undo: Receives the recorded output, and is a transaction like the body.
    /// - Throws: `StepFailure` when the policy gives up, the error says that trying again is of no use, or the approval was not given.
    ///   `CancellationError` when the task is cancelled; a step that happened all the same was undone before. `PerdureError` if the call
    ///   cannot be made, also where histories are kept in another kind of store: let it through.
    @discardableResult
    public nonisolated(nonsending) func step<
        Input: Codable & Sendable, Output: Codable & Sendable, Store: TransactionalStore
    >(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Output,
        undo: @escaping @Sendable (Output, Store.Connection) throws -> Void
    ) async throws -> Output {
        var call = StepCall(
            name: name, id: id, key: key, input: input, policy: policy, approval: approval, returning: Output.self,
            TransactionCall(in: Store.self, input, body))
        call.undo = UndoCall(UndoTransaction(in: Store.self, of: name, undo), of: name)
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }

    /// Writes in the database of the histories, records the result with it, and never undoes it.
    ///
    /// The body is synchronous and gets the store's connection. What it writes there and the record of its result are committed as one: a
    /// crash leaves both or neither, so the step happens exactly once and is never in doubt. An error rolls the write back and is definite.
    /// The connection is lent for the call, takes part in no other transaction, and refuses transaction control and the store's own tables.
    /// It must not wait for anything: on SQLite nothing else is written while it runs, on PostgreSQL it holds the rows that it locks, and
    /// up to four bodies run at once. After two seconds on SQLite, ten on PostgreSQL, or after the policy's `attemptTimeout` if that is
    /// shorter, its SQL is interrupted and what it did is taken back: a definite error, which the policy tries again. With an `approval`
    /// its intent is committed before, by itself.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: `.transactional(in:)` with the kind of store that the engine was opened with.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - irreversible: Why there is no undo; shown to whoever looks at a run that failed afterwards.
    /// - Throws: `StepFailure` when the policy gives up, the error says that trying again is of no use, or the approval was not given.
    ///   `CancellationError` when the task is cancelled; a step that happened all the same stays. `PerdureError` if the call cannot be
    ///   made, also where histories are kept in another kind of store: let it through.
    @discardableResult
    public nonisolated(nonsending) func step<
        Input: Codable & Sendable, Output: Codable & Sendable, Store: TransactionalStore
    >(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Output
    ) async throws -> Output {
        var call = StepCall(
            name: name, id: id, key: key, input: input, policy: policy, approval: approval, returning: Output.self,
            TransactionCall(in: Store.self, input, body))
        call.irreversible = irreversible
        return try await host.perform(call, isolation: #isolation, returning: Output.self)
    }

    /// Writes in the database of the histories, without a result, and can undo it.
    ///
    /// The body is synchronous and gets the store's connection. What it writes there and the record of its result are committed as one: a
    /// crash leaves both or neither, so the step happens exactly once and is never in doubt. An error rolls the write back and is definite.
    /// The connection is lent for the call, takes part in no other transaction, and refuses transaction control and the store's own tables.
    /// It must not wait for anything: on SQLite nothing else is written while it runs, on PostgreSQL it holds the rows that it locks, and
    /// up to four bodies run at once. After two seconds on SQLite, ten on PostgreSQL, or after the policy's `attemptTimeout` if that is
    /// shorter, its SQL is interrupted and what it did is taken back: a definite error, which the policy tries again. With an `approval`
    /// its intent is committed before, by itself.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: `.transactional(in:)` with the kind of store that the engine was opened with.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - undo: Receives the recorded input, and is a transaction like the body.
    /// - Throws: `StepFailure` when the policy gives up, the error says that trying again is of no use, or the approval was not given.
    ///   `CancellationError` when the task is cancelled; a step that happened all the same was undone before. `PerdureError` if the call
    ///   cannot be made, also where histories are kept in another kind of store: let it through.
    public nonisolated(nonsending) func act<
        Input: Codable & Sendable, Store: TransactionalStore
    >(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Void,
        undo: @escaping @Sendable (Input, Store.Connection) throws -> Void
    ) async throws {
        var call = StepCall(
            name: name, id: id, key: key, input: input, policy: policy, approval: approval, returning: Nothing.self,
            TransactionCall(in: Store.self, acting: input, body))
        call.undo = UndoCall(UndoTransaction(in: Store.self, taking: input, undo), of: name)
        _ = try await host.perform(call, isolation: #isolation, returning: Nothing.self)
    }

    /// Writes in the database of the histories, without a result, and never undoes it.
    ///
    /// The body is synchronous and gets the store's connection. What it writes there and the record of its result are committed as one: a
    /// crash leaves both or neither, so the step happens exactly once and is never in doubt. An error rolls the write back and is definite.
    /// The connection is lent for the call, takes part in no other transaction, and refuses transaction control and the store's own tables.
    /// It must not wait for anything: on SQLite nothing else is written while it runs, on PostgreSQL it holds the rows that it locks, and
    /// up to four bodies run at once. After two seconds on SQLite, ten on PostgreSQL, or after the policy's `attemptTimeout` if that is
    /// shorter, its SQL is interrupted and what it did is taken back: a definite error, which the policy tries again. With an `approval`
    /// its intent is committed before, by itself.
    ///
    /// - Parameters:
    ///   - name: Names the step in history, within its scope.
    ///   - id: Tells apart steps of the same name that are asked for by several tasks.
    ///   - key: A business key, unique for this step name in the namespace: whichever run asks first does the work, the others
    ///     adopt its outcome.
    ///   - input: Recorded, and compared on replay. The body receives it as its first argument.
    ///   - effect: `.transactional(in:)` with the kind of store that the engine was opened with.
    ///   - approval: The decision that the step waits for before it is released.
    ///   - irreversible: Why there is no undo; shown to whoever looks at a run that failed afterwards.
    /// - Throws: `StepFailure` when the policy gives up, the error says that trying again is of no use, or the approval was not given.
    ///   `CancellationError` when the task is cancelled; a step that happened all the same stays. `PerdureError` if the call cannot be
    ///   made, also where histories are kept in another kind of store: let it through.
    public nonisolated(nonsending) func act<
        Input: Codable & Sendable, Store: TransactionalStore
    >(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil, irreversible: String,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Void
    ) async throws {
        var call = StepCall(
            name: name, id: id, key: key, input: input, policy: policy, approval: approval, returning: Nothing.self,
            TransactionCall(in: Store.self, acting: input, body))
        call.irreversible = irreversible
        _ = try await host.perform(call, isolation: #isolation, returning: Nothing.self)
    }

    /// Without an undo or a reason why there is none.
    @available(
        *, unavailable,
        message: "a step says how it is undone: 'undo: { … }' after the body or 'irreversible: \"why\"' before it"
    )
    @discardableResult
    public nonisolated(nonsending) func step<Input, Output, Store: TransactionalStore>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Output
    ) async throws -> Output { never() }

    /// Without an undo or a reason why there is none.
    @available(
        *, unavailable,
        message: "an act says how it is undone: 'undo: { … }' after the body or 'irreversible: \"why\"' before it"
    )
    public nonisolated(nonsending) func act<Input, Store: TransactionalStore>(
        _ name: String, id: String? = nil, key: String? = nil, input: Input, _ effect: TransactionalEffect<Store>,
        policy: StepPolicy = .default, approval: ApprovalRequirement? = nil,
        _ body: @escaping @Sendable (Input, Store.Connection) throws -> Void
    ) async throws { never() }
}

extension TransactionCall {
    /// Work without a result.
    fileprivate init<Input: Sendable, Store: TransactionalStore>(
        in store: Store.Type, acting input: Input, _ body: @escaping @Sendable (Input, Store.Connection) throws -> Void
    ) {
        self.init(in: store, input) { input, connection in
            try body(input, connection)
            return Nothing()
        }
    }
}
