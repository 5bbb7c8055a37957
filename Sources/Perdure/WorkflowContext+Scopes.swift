extension WorkflowContext {
    /// A unit that unwinds alone: if the body throws, the steps completed inside are undone in reverse order, durably, and then the
    /// error is thrown on. Names inside are separate from those outside.
    ///
    /// The undos are retried without limit and are not told of cancellations.
    ///
    /// - Throws: What the body throws, when everything inside is settled and undone; also when the task is cancelled. `PerdureError`
    ///   if the call cannot be made: let it through.
    public nonisolated(nonsending) func scope<Result>(
        _ name: String, id: String? = nil, _ body: () async throws -> Result
    ) async throws -> Result {
        let path = try host.openScope(name, id: id)
        return try await RunTask.$scope.withValue(path) {
            do {
                return try await body()
            } catch {
                try await host.unwind(path)
                throw error
            }
        }
    }

    /// Lets the body use the context although the task is cancelled, for work that has to be done on the way out.
    ///
    /// The steps inside run and are retried as usual. Only the body's errors are thrown.
    public nonisolated(nonsending) func uncancelled<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        try await RunTask.$ignoresCancellation.withValue(true) { try await body() }
    }
}
