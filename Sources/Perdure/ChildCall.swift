/// What becomes of a child when its parent no longer waits for it.
public enum ChildPolicy: Sendable, Hashable {
    /// The child is cancelled, or terminated with a parent that is terminated, and the parent waits for its end.
    case cancel
    /// The child goes on by itself.
    case abandon
}

/// The start of a child, with its types erased. Made by the calls of `WorkflowContext`, kept by the run, never stored.
package struct ChildCall: Sendable {
    /// The child's workflow; also the name of the operation in history.
    package var workflow: String
    package var version: WorkflowVersion
    package var id: String?
    package var input: StepCall.Value
    package var outputType: any (Codable & Sendable).Type
    package var policy: ChildPolicy
    /// Nobody waits for the child: the call ends with its start and returns its id.
    package var isDetached = false
    package var undo: UndoCall?
    package var irreversible: String?

    /// The call whose undo the engine runs when the child's completion is to be taken back. Its body is never asked for.
    package var undoing: StepCall? {
        guard let undo else { return nil }
        let workflow = workflow
        var call = StepCall(
            name: workflow, id: id, input: input, outputType: outputType, effect: .idempotent(.forever), policy: .default,
            businessKey: nil, approval: nil,
            body: { _ in throw PerdureError(.historyMismatch, "the child '\(workflow)' is a run, not a step") })
        call.undo = undo
        return call
    }
}
