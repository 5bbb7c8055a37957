import Perdure

// A step that may have to wait for a person's word is begun only where somebody answers for the workflow. What has begun goes on to its
// end, whatever today's build says of an owner: no run is left in its middle.
extension RunMachine {
    /// Why the step is not begun; nil if it may be.
    func ownerMissing(for step: StepOperation) -> Divergence? {
        guard !hasOwner, step.family == .step, step.request.needsOwner, !step.isInputRecorded else { return nil }
        let subject = step.request.subject
        return Divergence(
            .ownerMissing, subject: subject,
            message:
                "Step '\(subject)' may have to wait for a person's word, but nobody answers for workflow '\(identity.workflow)'. Give it a "
                + "'static let owner', such as the team that runs it, and deploy that; the run then goes on by itself. The step was not begun."
        )
    }

    /// Why the first step that the code waits for, and that has not begun, would not be begun here.
    var unownedStep: Divergence? {
        guard !hasOwner else { return nil }
        for id in steps.keys.sorted() {
            guard let step = steps[id], step.phase == .released, !step.isCancelled else { continue }
            if let refusal = ownerMissing(for: step) { return refusal }
        }
        return nil
    }
}
