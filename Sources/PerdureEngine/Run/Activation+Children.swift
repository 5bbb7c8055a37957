import Logging
package import Perdure
import PerdureHistory
import PerdureStore
import Synchronization

// The calls of the code that start runs.
extension Activation {
    package nonisolated(nonsending) func child<Output: Codable & Sendable>(
        _ call: ChildCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output {
        try await enter(isolation)
        // Of one family with steps: an undo has nothing but the subject to say what it undoes.
        let subject = try identify(.step, call.workflow, id: call.id)
        let request = try childRequest(call, subject: subject)
        let undoing = call.undoing
        let id = state.withLock { state in
            let id = state.machine.request(request)
            if let undoing { state.calls[id] = undoing }
            return id
        }
        let bytes = try await value(of: id)
        do {
            return try Payload(bytes: bytes).decode(Output.self, what: "the recorded output of child '\(subject)'")
        } catch {
            throw noted(Divergence(.mismatch, subject: subject, message: "\(error) \(Divergence.waysOut)"), .historyMismatch)
        }
    }

    private func childRequest(_ call: ChildCall, subject: String) throws -> ChildRequest {
        let input: Payload
        do {
            input = try Payload.encode(call.input, limit: services.payloadLimit, what: "the input of child '\(subject)'")
        } catch {
            throw PerdureError(error)
        }
        let version = call.version.description
        let isHosted = services.registry.find(call.workflow, version) != nil
        return ChildRequest(
            subject: subject, scope: RunTask.scope, workflow: call.workflow, version: isHosted ? version : nil,
            undo: call.undo.map { $0.isAtMostOnce ? .atMostOnce(hasProbe: $0.probe != nil) : .idempotent },
            irreversible: call.irreversible, policy: call.policy, isDetached: call.isDetached, input: input.bytes,
            accepts: Self.acceptance(of: call.input, input))
    }

    /// The child's row and first event. It is made anew for every try of the commit, always under the same id.
    func newRun(_ child: ChildStart, in epoch: Int64, now: Timestamp) -> NewRun {
        NewRun(
            child, epoch: epoch, namespace: identity.namespace, build: services.build, node: services.node.rawValue, now: now,
            random: services.random)
    }
}
