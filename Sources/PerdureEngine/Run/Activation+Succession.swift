import Logging
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// The call of the code that has the run closed as continued by another one.
extension Activation {
    package nonisolated(nonsending) func continueAsNew(
        _ input: any Codable & Sendable, of workflow: String, isolation: (any Actor)?
    ) async throws -> Never {
        try await enter(isolation)
        guard workflow == identity.workflow else {
            let message =
                "A run of '\(identity.workflow)' cannot be continued as one of '\(workflow)': name its own workflow, or start the other one "
                + "with 'startChild'."
            throw noted(Divergence(.contextMisused, subject: "", message: message), .contextMisused)
        }
        let (version, payload) = try succession(input)
        let isAccepted = state.withLock {
            $0.machine.requestSuccession(version: version, input: payload.bytes)
        }
        if isAccepted { logger.debug("the run is to be continued", metadata: ["version": "\(version)"]) }
        throw CancellationError()
    }

    /// The newest version that is hosted here, and the input, which it has to be able to read.
    private func succession(_ input: any Codable & Sendable) throws -> (version: String, input: Payload) {
        do {
            let next = try services.registry.require(identity.workflow)
            let what = "the input that a run of '\(identity.workflow)' is continued with"
            let payload = try Payload.encode(input, limit: services.payloadLimit, what: what)
            try next.checkInput(payload)
            return (next.version.description, payload)
        } catch let error as PayloadError {
            // A mistake of the code, not an outcome: a build that mends it goes on from here.
            throw noted(Divergence(.valueRefused, subject: "", message: error.description), PerdureError(error).code)
        }
    }

    /// The next run's row and first event. It is made anew for every try of the commit.
    func newRun(_ successor: SuccessorStart, in epoch: Int64, now: Timestamp) -> NewRun {
        NewRun(
            successor, of: identity, epoch: epoch, chain: chain, build: services.build, node: services.node.rawValue, now: now,
            random: services.random)
    }
}
