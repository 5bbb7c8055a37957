import Perdure
import PerdureHistory
import Synchronization

// What the workflow's code says of itself.
extension Activation {
    package nonisolated(nonsending) func report(
        _ status: any Codable & Sendable, id: String?, isolation: (any Actor)?
    ) async throws {
        try await enter(isolation)
        let subject = try identify(.note, "status", id: id)
        let bytes: [UInt8]
        do {
            bytes = try Payload.encode(status, limit: services.payloadLimit, what: "the status").bytes
        } catch {
            throw refused(subject, PerdureError(error))
        }
        let operation = state.withLock { $0.machine.requestStatus(subject, bytes) }
        _ = try await value(of: operation)
    }

    package nonisolated(nonsending) func label(_ labels: [String: String], id: String?, isolation: (any Actor)?) async throws {
        try await enter(isolation)
        let subject = try identify(.note, "labels", id: id)
        let checked: Labels
        do {
            checked = try Labels(labels)
        } catch {
            throw refused(subject, error)
        }
        let operation = state.withLock { $0.machine.requestLabels(subject, checked) }
        _ = try await value(of: operation)
    }

    package func isPatched(_ id: String) throws -> Bool {
        // The calling task has to be one of the run's, as for everything that depends on the place in the code.
        guard executor.currentTaskID != nil else {
            if state.withLock({ $0.isClosed }) { throw CancellationError() }
            throw noted(ContextMisuse.outsideTheRun)
        }
        let id = Name.normalized(id)
        guard Name.isKey(id) else {
            throw refused(id, PerdureError(.nameInvalid, "A patch needs an id of 1 to 256 bytes without control characters."))
        }
        return state.withLock { $0.machine.isPatched(id) }
    }

    /// Blocks the run for this build, and tells the code: what it wanted to record cannot be recorded, and other code can do better.
    func refused(_ subject: String, _ error: PerdureError) -> PerdureError {
        note(Divergence(.valueRefused, subject: subject, message: error.message))
        return error
    }
}
