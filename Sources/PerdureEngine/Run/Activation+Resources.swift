import Perdure
import PerdureHistory
import Synchronization

// Asking resources for leave to begin attempts, and giving it back.
extension Activation {
    func admit(_ id: OperationID) {
        guard let resource = state.withLock({ $0.machine.resourceToAsk(id) }) else { return }
        let ticket = ResourceGate.Ticket(run: number, operation: id)
        // Noted before it is asked: its answer may come before this returns. Until then the run stays in memory.
        state.withLock { state in
            state.admissions[id] = resource
            state.machine.isQueuedForResource(id)
        }
        let answer = services.resources.ask(resource, ticket) { [weak self] mayBegin in
            self?.post(.resourceAnswered(id, mayBegin: mayBegin))
        }
        switch answer {
        case .go: post(.resourceAnswered(id, mayBegin: true))
        case .queued: break
        case .later(let time):
            state.withLock { state in
                state.admissions[id] = nil
                _ = state.machine.resourceAnswered(id, mayBegin: false)
                state.machine.hold(id, until: time)
            }
        }
    }

    func resourceAnswered(_ id: OperationID, mayBegin: Bool) {
        let unused = state.withLock { state -> String? in
            // It may have been given up meanwhile.
            guard let resource = state.admissions[id] else { return nil }
            let isWanted = state.machine.resourceAnswered(id, mayBegin: mayBegin)
            if mayBegin, isWanted, !state.isClosed { return nil }
            state.admissions[id] = nil
            return mayBegin ? resource : nil
        }
        if let unused { giveBack([(id, unused)]) }
    }

    /// Gives back what steps that took another way did not use.
    func giveBackUnusedAdmissions() {
        let unused = state.withLock { state -> [(OperationID, String)] in
            guard !state.machine.admissionsGivenUp.isEmpty else { return [] }
            defer { state.machine.admissionsGivenUp = [] }
            return state.machine.admissionsGivenUp.compactMap { id in state.admissions.removeValue(forKey: id).map { (id, $0) } }
        }
        giveBack(unused)
    }

    /// Gives everything back that no body answers for: the code leaves memory.
    func giveBackAllAdmissions() {
        let all = state.withLock { state in
            defer { state.admissions = [:] }
            return state.admissions.map { ($0.key, $0.value) }
        }
        giveBack(all)
    }

    private func giveBack(_ admissions: [(OperationID, String)]) {
        for (id, resource) in admissions {
            services.resources.end(resource, ResourceGate.Ticket(run: number, operation: id), .withdrawn)
        }
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
