extension WorkflowContext {
    /// Ends this run and goes on as a fresh one of the same workflow with another input, so that a loop that never ends has a history that
    /// does: one turn, one run.
    ///
    /// ```swift
    /// try await context.continueAsNew(Self.self, input: next)
    /// ```
    ///
    /// The call decides, not what becomes of its error: from here on the run is continued, whatever the code catches, throws or returns,
    /// and nothing that has completed is undone, whichever task and scope it belongs to. It is written as a throw all the same, so that the
    /// code leaves its tasks and scopes at once, and as one of `CancellationError`, which code lets through anyway. Other tasks of the run
    /// are cancelled where that takes them along, and what they have begun is settled, as when a workflow returns; nothing can be begun any
    /// more. Updates that they have taken are answered.
    ///
    /// The next run has the newest version that is registered here, this run's key, labels, deadline and parent, and the signals and
    /// updates that nobody has taken. It exists as soon as this one is closed. Whoever waits for the result, this run's parent included,
    /// gets that of the last run. What is sent to this run from then on, and its cancellation or termination, reaches the last one.
    ///
    /// A cancellation that comes before the run has closed wins: then it is cancelled, undoes what it did, and is not continued.
    ///
    /// - Parameters:
    ///   - type: This workflow, or its newest version.
    ///   - input: Has to be readable by the newest version.
    /// - Throws: Always: `CancellationError`; `PerdureError` if the call cannot be made, which blocks the run.
    public nonisolated(nonsending) func continueAsNew<W: Workflow>(_ type: W.Type, input: W.Input) async throws -> Never {
        try await host.continueAsNew(input, of: W.name, isolation: #isolation)
    }
}
