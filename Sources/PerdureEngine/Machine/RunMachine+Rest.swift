import DequeModule
import HeapModule
import Perdure
package import PerdureHistory

// Attempts, and where the run stands when it is at rest.
extension RunMachine {
    /// Marks a step as running in this process and says how. `nil` if it no longer needs to run.
    package mutating func beginAttempt(_ id: OperationID, now: Timestamp) -> Attempt? {
        guard let step = steps[id], [.released, .intended, .backingOff].contains(step.phase) else { return nil }
        // A recorded deadline belongs to the attempt whose intent it stands in; a later sending has its own. It may allow for a slow
        // commit, which is no time for the body.
        let recorded = step.phase == .intended && step.isIntentUnsent ? step.deadline : nil
        let own = now + step.request.policy.attemptTimeout
        let deadline = min(recorded ?? own, own)
        move(id, to: .running)
        steps[id]?.mayHaveRun = !step.isTransaction
        steps[id]?.isIntentUnsent = false
        steps[id]?.deadline = deadline
        steps[id]?.quietAfter = deadline + step.request.policy.grace
        steps[id]?.bodyWasToldToStop = false
        steps[id]?.isInherited = false
        var attempt = attempt(step, step.family == .step ? .step : .undo, deadline: deadline)
        // A second owner that began nothing is no proof that the first did not.
        attempt.isRepeated = step.isInherited || (step.failedAttempts == 0 && (step.mayHaveRun || step.earlierMayHaveRun))
        attempt.heartbeatTimeout = step.request.policy.heartbeatTimeout
        // What others would do as well is done again under the same key; the store itself sees to its transactions.
        attempt.needsLease = !step.isRead && !step.isTransaction
        return attempt
    }

    package mutating func beginProbe(_ id: OperationID, now: Timestamp) -> Attempt? {
        guard let step = steps[id], step.phase == .inDoubt else { return nil }
        move(id, to: .probing)
        return attempt(step, step.family == .step ? .stepProbe : .undoProbe, deadline: now + step.request.policy.attemptTimeout)
    }

    package mutating func toldToStop(_ id: OperationID) {
        steps[id]?.bodyWasToldToStop = true
        bodiesToStop.removeAll { $0 == id }
    }

    package func businessKey(of id: OperationID) -> (key: String, step: String, subject: String)? {
        guard let step = steps[id], let key = step.request.businessKey else { return nil }
        return (key, step.request.name, step.request.subject)
    }

    private func attempt(_ step: StepOperation, _ body: Attempt.Body, deadline: Timestamp) -> Attempt {
        var source = keySource(of: step)
        if Mutant.isOn("another key for each attempt") { source.subject += " \(step.nextAttempt) \(node)" }
        return Attempt(
            operation: step.id, source: step.source, body: body, subject: step.request.subject, number: step.nextAttempt,
            keySource: source, deadline: deadline, output: step.undoneOutput, begunFrom: step.phase)
    }

    // MARK: At rest

    /// Whether anything is running in this process on behalf of the run.
    package var isBusy: Bool { busyCount > 0 || !strayProbes.isEmpty }

    /// Whether the code waits, but for nothing that could ever come: it awaits something that is not recorded.
    package var isStalled: Bool {
        !isClosed && standIn == nil && rootResult == nil && rewinding == nil && steps.isEmpty && timers.isEmpty
            && questions.isEmpty
            && children.isEmpty
            && unwindings.isEmpty && signalWaitNames.isEmpty && updates.names.isEmpty && notes.isEmpty && answers.isEmpty
    }

    package var hasFinishedRoot: Bool { rootResult != nil }

    /// Whether only a person can move the run: at least one step waits for one, and nothing else is open.
    package var isStuck: Bool {
        guard !isBusy, !isClosed, timers.isEmpty, questions.isEmpty, signalWaitNames.isEmpty, updates.names.isEmpty,
            notes.isEmpty,
            requestedSinceRest.isEmpty, children.values.allSatisfy({ $0.phase == .undoing })
        else {
            return false
        }
        var count = 0
        for step in steps.values {
            if step.waitsForPerson { count += 1 } else if step.phase != .undoing { return false }
        }
        return count > 0
    }

    package var stuckReason: String {
        steps.keys.sorted().compactMap { steps[$0] }.filter(\.waitsForPerson).map { step in
            let name = "\(step.family == .undo ? "undo of " : "")'\(step.request.subject)'"
            if step.phase == .deadLetter {
                return "\(name) cannot go on: \(step.lastFailure?.message ?? "its attempts are used up")"
            }
            return "\(name) is in doubt (\(step.doubt?.reason.rawValue ?? "unknown"))"
        }.joined(separator: "; ")
    }

    /// When the run becomes due by itself, if nothing happens before.
    package mutating func nextDue() -> Timestamp? {
        while let first = dues.min {
            if isStillDue(first) { return first.at }
            dues.removeMin()
        }
        return nil
    }

    func isStillDue(_ due: Due) -> Bool {
        if due.id == .run { return mayPassDeadline }
        if let timer = timers[due.id] { return timer.phase == .started }
        if let question = questions[due.id] { return question.phase == .asked }
        guard let step = steps[due.id] else { return false }
        switch step.phase {
        case .awaitingApproval: return step.due == due.at
        case .backingOff: return step.due == due.at || step.heldUntil == due.at
        case .released, .approved, .intended: return step.heldUntil == due.at
        case .inDoubt: return step.doubt?.probeAt == due.at
        default: return false
        }
    }
}
