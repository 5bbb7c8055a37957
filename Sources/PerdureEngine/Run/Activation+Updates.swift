package import Perdure
import PerdureHistory
import Synchronization

// Messages that the workflow's code answers.
extension Activation {
    package nonisolated(nonsending) func nextUpdate<T: Codable & Sendable>(
        _ name: String, isolation: (any Actor)?, as type: T.Type
    ) async throws -> (id: String, payload: Result<T, any Error>) {
        try await enter(isolation)
        guard Name.isIdentifier(name) else {
            throw noted(
                Divergence(
                    .nameInvalid, subject: name,
                    message: "'\(name)' cannot be an update's name: use 1 to 128 letters, digits, '-', '_' and '.'."),
                .nameInvalid)
        }
        let operation = state.withLock { $0.machine.requestUpdate(name) }
        guard case .update(let id, let bytes) = try await answer(to: operation) else { throw CancellationError() }
        return (id, Result { try Payload(bytes: bytes).decode(type, what: "the payload of update '\(name)'") })
    }

    package nonisolated(nonsending) func reply(
        _ reply: UpdateReply, to id: String, of name: String, isolation: (any Actor)?
    ) async throws {
        try await enter(isolation, isReply: true)
        let result: Result<[UInt8], UpdateRejection>
        switch reply {
        case .rejected(let message):
            result = .failure(UpdateRejection(String(message.prefix(2_000))))
        case .accepted(let value):
            do {
                let what = "the reply to update '\(name)'"
                result = .success(try Payload.encode(value, limit: services.payloadLimit, what: what).bytes)
            } catch {
                throw refused(id, PerdureError(error))
            }
        }
        let operation = state.withLock { $0.machine.requestReply(to: id, of: name, result) }
        _ = try await answer(to: operation)
    }
}
