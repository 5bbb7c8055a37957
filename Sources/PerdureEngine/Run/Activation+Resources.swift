import Perdure
import PerdureHistory
import Synchronization

// Asking resources for leave to begin attempts, and giving it back.
extension Activation {
    func admit(_ id: OperationID) {
        guard let resource = state.withLock({ $0.machine.resourceToAsk(id) }) else { return }
        let ticket = ResourceGate.Ticket(run: number, operation: id, number: services.bodies.next())
        // Noted before it is asked: its answer may come before this returns. Until then the run stays in memory.
        state.withLock { state in
            state.admissions[id] = Admission(resource: resource, ticket: ticket)
            state.machine.isQueuedForResource(id)
        }
        let answer = services.resources.ask(resource, ticket) { [weak self] mayBegin in
            self?.post(.resourceAnswered(id, ticket, mayBegin: mayBegin))
        }
        switch answer {
        case .go: post(.resourceAnswered(id, ticket, mayBegin: true))
        case .queued: break
        case .later(let time):
            state.withLock { state in
                state.admissions[id] = nil
                _ = state.machine.resourceAnswered(id, mayBegin: false)
                state.machine.hold(id, until: time)
            }
        }
    }

    func resourceAnswered(_ id: OperationID, _ ticket: ResourceGate.Ticket, mayBegin: Bool) {
        let unused = state.withLock { state -> Admission? in
            // It may have been given up meanwhile.
            guard let admission = state.admissions[id], admission.ticket == ticket else { return nil }
            let isWanted = state.machine.resourceAnswered(id, mayBegin: mayBegin)
            if mayBegin, isWanted, !state.isClosed { return nil }
            state.admissions[id] = nil
            return mayBegin ? admission : nil
        }
        if let unused { giveBack([unused]) }
    }

    /// Gives back what steps that took another way did not use.
    func giveBackUnusedAdmissions() {
        let unused = state.withLock { state -> [Admission] in
            guard !state.machine.admissionsGivenUp.isEmpty else { return [] }
            defer { state.machine.admissionsGivenUp = [] }
            return state.machine.admissionsGivenUp.compactMap { state.admissions.removeValue(forKey: $0) }
        }
        giveBack(unused)
    }

    /// Gives everything back that no body answers for: the code leaves memory.
    func giveBackAllAdmissions() {
        let all = state.withLock { state in
            defer { state.admissions = [:] }
            return Array(state.admissions.values)
        }
        giveBack(all)
    }

    private func giveBack(_ admissions: [Admission]) {
        for admission in admissions { services.resources.end(admission.resource, admission.ticket, .withdrawn) }
    }
}

extension AttemptOutcome {
    /// What it tells of the other side.
    var tells: ResourceGate.Outcome {
        switch self {
        case .succeeded, .unrecordable: .answered
        case .failed(let failure): failure.isRetryable ? .failed(retryAfter: failure.retryAfter) : .answered
        }
    }
}
