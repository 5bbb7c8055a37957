import Perdure
package import PerdureHistory

// Steps that turn to a resource ask it before anything of an attempt is recorded or sent: a wait for it uses up neither an attempt nor an
// approval, and an at-most-once step that waits has no intent that could be taken for one that was acted upon. All of this exists in this
// process only.
extension RunMachine {
    /// Whether the next attempt may begin. If not, the plan asks for it, or it is asked again later.
    mutating func isAdmitted(_ step: StepOperation, now: Timestamp, into plan: inout Plan) -> Bool {
        guard step.request.policy.resource != nil, !step.isAdmitted else { return true }
        if step.isQueuedForResource { return false }
        if let until = step.heldUntil, until > now {
            wake(step.id, at: until)
        } else {
            plan.actions.append(.admit(step.id))
        }
        return false
    }

    /// The name of the resource that the step turns to, while it still waits to be let through.
    package func resourceToAsk(_ id: OperationID) -> String? {
        guard let step = steps[id], !step.isAdmitted else { return nil }
        return step.request.policy.resource
    }

    package mutating func isQueuedForResource(_ id: OperationID) { steps[id]?.isQueuedForResource = true }

    /// Lets the step go on, or ask again. Returns whether it still wants to begin an attempt.
    package mutating func resourceAnswered(_ id: OperationID, mayBegin: Bool) -> Bool {
        guard let step = steps[id] else { return false }
        steps[id]?.isQueuedForResource = false
        steps[id]?.isAdmitted = mayBegin
        steps[id]?.heldUntil = nil
        enqueue(id)
        return [.released, .approved, .intended, .backingOff].contains(step.phase)
    }

    /// The step has to ask its resource again at that time.
    package mutating func hold(_ id: OperationID, until time: Timestamp) {
        steps[id]?.heldUntil = time
        wake(id, at: time)
    }

    /// What a step that is let through did not use: it took another way.
    mutating func giveUpAdmission(_ id: OperationID, in phase: StepPhase) {
        guard steps[id]?.isAdmitted == true || steps[id]?.isQueuedForResource == true else { return }
        switch phase {
        case .requested, .released, .approved, .intended, .backingOff, .awaitingApproval: return
        case .running: break
        case .awaitingKey, .inDoubt, .probing, .deadLetter, .undoing, .abandoned, .ended: admissionsGivenUp.append(id)
        }
        steps[id]?.isAdmitted = false
        steps[id]?.isQueuedForResource = false
    }

    /// Why the run waits, if it is for a resource.
    package var holdReason: String? {
        let held = steps.values.filter { $0.heldUntil != nil && !$0.isAdmitted }.sorted { $0.id < $1.id }
        guard let first = held.first, let resource = first.request.policy.resource else { return nil }
        let others = held.count > 1 ? " and \(held.count - 1) more" : ""
        return "'\(first.request.subject)'\(others) waits for resource '\(resource)', which is failing or busy"
    }
}
