extension WorkflowContext {
    /// Records where the run stands, for whoever looks: `Client.status(of:)` gives the last one, `show` all of them, without waking the
    /// run. It returns when the status is durable.
    ///
    /// - Parameters:
    ///   - status: At most the payload limit (8 MiB by default). It decides nothing: another text after a deploy does no harm.
    ///   - id: Needed where several tasks of the run report.
    /// - Throws: `CancellationError` when the task is cancelled; `PerdureError` for a value that cannot be recorded, which blocks the run.
    public nonisolated(nonsending) func report(_ status: some Codable & Sendable, id: String? = nil) async throws {
        try await host.report(status, id: id, isolation: #isolation)
    }

    /// Gives the run labels to be found by (`list --label`), in place of earlier ones of the same names. Labels are readable for everyone
    /// who may list runs and are kept with the history: nothing personal or secret belongs in them.
    ///
    /// - Parameters:
    ///   - labels: At most 32 at once. Names: 1 to 128 letters, digits, `-`, `_` and `.`; values: 1 to 256 bytes of text.
    ///   - id: Needed where several tasks of the run label it.
    /// - Throws: `CancellationError` when the task is cancelled; `PerdureError` with `label_invalid`, which blocks the run.
    public nonisolated(nonsending) func label(_ labels: [String: String], id: String? = nil) async throws {
        try await host.label(labels, id: id, isolation: #isolation)
    }

    /// Whether this run follows a change of the workflow's code: false for runs that had passed this place before the change was deployed,
    /// true for all others. The first call of a run decides, and every later one in the run answers the same.
    ///
    /// ```swift
    /// if try context.patched("charge-in-two-steps") { … } else { … }
    /// ```
    ///
    /// When no run from before the change is open any more, the call and the old branch can be removed together: what is recorded of it
    /// is then passed over.
    ///
    /// - Parameter id: 1 to 256 bytes of text, never used for another change of this workflow.
    /// - Throws: `PerdureError` if the id is invalid or the context is used from outside the run.
    public func patched(_ id: String) throws -> Bool { try host.isPatched(id) }
}
