public import Foundation

extension WorkflowContext {
    /// Waits. The wait costs no memory worth naming and survives restarts; it ends at the recorded due time or as soon after as a
    /// process is there to notice.
    ///
    /// - Throws: `CancellationError` at once when the task is cancelled. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func sleep(for duration: Duration, name: String = "sleep", id: String? = nil) async throws {
        let timer = try host.identifyTimer(name, id: id)
        try await host.sleep(timer, for: duration, isolation: #isolation)
    }

    /// Waits until a moment by the clock of the store; not at all if that has passed. Otherwise like `sleep(for:)`.
    ///
    /// - Throws: `CancellationError` at once when the task is cancelled. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func sleep(until time: Date, name: String = "sleep", id: String? = nil) async throws {
        let timer = try host.identifyTimer(name, id: id)
        try await host.sleep(timer, until: time, isolation: #isolation)
    }

    /// Waits for the next signal of this type. Signals that came earlier are waiting in order.
    ///
    /// - Throws: `StepFailure` with code `undecodable` if the payload cannot be read as this type (the signal is used up);
    ///   `CancellationError` at once when the task is cancelled. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func signal<S: Signal>(_ type: S.Type) async throws -> S.Payload {
        try await host.signal(S.name, isolation: #isolation, as: S.Payload.self)
    }

    /// Puts a question to a person and returns the first valid answer. It is asked once, whatever crashes, and authorises nothing:
    /// what needs a permission has `approval:`.
    ///
    /// - Parameter within: After this time, counted from the commit of the question, a definite `StepFailure` with code `expired`
    ///   is thrown. Without it the question stays open.
    /// - Throws: `CancellationError` at once when the task is cancelled. `PerdureError` if the call cannot be made: let it through.
    public nonisolated(nonsending) func ask<Answer: Codable & Sendable>(
        _ name: String, id: String? = nil, _ question: String, as type: Answer.Type = Answer.self,
        of approver: Approver = .anyone, within: Duration? = nil
    ) async throws -> Answer {
        let call = QuestionCall(name: name, id: id, text: question, approver: approver, within: within)
        return try await host.ask(call, isolation: #isolation, as: type)
    }

    /// Runs the body and cancels it when the time is over. A step inside ends only with its recorded outcome, so the call may return
    /// later than the limit; `StepPolicy.attemptTimeout` bounds one attempt.
    ///
    /// The body is a child task, so it hands results back by returning them and not by changing variables around it. Names used
    /// inside belong to this call: its own name is a part of their path, and is taken from the names of scopes.
    ///
    /// What the body did before it was cancelled stays done: put a `scope` around what has to be taken back. A body that swallows the
    /// cancellation and returns all the same has its result dropped; one that catches failures, or gathers the results of tasks of its
    /// own, ends with `try Task.checkCancellation()`.
    ///
    /// - Throws: `StepFailure` with code `timed_out` when the limit passed first, else what the body throws. When the task is
    ///   cancelled, so is the body, and `CancellationError` is thrown when the body has ended. `PerdureError` if the call
    ///   cannot be made: let it through.
    public nonisolated(nonsending) func timeout<Result: Sendable>(
        _ limit: Duration, name: String = "timeout", id: String? = nil, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let timer = try host.identifyTimer(name, id: id)
        // Among the scopes: one of the same name must not take the names inside, nor their undos, for its own.
        let path = try host.openScope(name, id: id)
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await RunTask.$scope.withValue(path) { try await body() } }
            group.addTask { [host] in
                try await host.sleep(timer, for: limit, isolation: nil)
                return nil
            }
            defer { group.cancelAll() }
            if let first = try await group.next(), let value = first { return value }
            throw StepFailure(code: StepFailure.timedOut, message: "'\(timer)' did not end within \(limit)")
        }
    }
}
