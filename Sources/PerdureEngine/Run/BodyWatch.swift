package import Perdure
package import PerdureStore

/// Stands between an engine and the bodies of steps, undos and probes that it runs. It sees each of them begin and end, may answer in its
/// place, and may end the process in between. For tests of workflows; transactional bodies, which have no await in them, are not shown.
package protocol BodyWatch: Sendable {
    /// - Returns: What the body comes to; what `body` returns if it is to run.
    func attempt(_ attempt: Attempt, of run: RunID, _ body: () async -> AttemptOutcome) async -> AttemptOutcome
    func probe(_ attempt: Attempt, of run: RunID, _ body: () async -> ProbeOutcome) async -> ProbeOutcome
    /// The body asks for the idempotency key.
    func usesKey(_ attempt: Attempt, of run: RunID)
    /// A commit is about to be handed to the store.
    ///
    /// - Parameter transitions: What the run's machine will go through when it is done. Found out when it is asked for.
    func willCommit(_ advance: RunAdvance, _ transitions: () -> MachineTransitions)
}

extension BodyWatch {
    package func willCommit(_ advance: RunAdvance, _ transitions: () -> MachineTransitions) {}
}

/// What a machine goes through.
package struct MachineTransitions: Sendable {
    package var steps: Set<StepTransition>
    package var children: Set<ChildTransition>
}
