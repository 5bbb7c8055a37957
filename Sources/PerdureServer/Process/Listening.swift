internal import Perdure
internal import Synchronization

/// Runs what takes requests at an address, until it is shut down.
///
/// - Parameters:
///   - onListening: Called once with the port, when requests are taken.
///   - problem: What is said if the address cannot be listened on.
/// - Throws: `PerdureError` with `configuration_invalid` if it fails before it listens, and what it throws later.
func listen(
    _ onListening: @escaping @Sendable (Int) async -> Void, orSay problem: String, metadata: [(String, String)] = [],
    _ serve: (_ onListening: @escaping @Sendable (Int) async -> Void) async throws -> Void
) async throws {
    let isListening = Mutex(false)
    do {
        try await serve { port in
            isListening.withLock { $0 = true }
            await onListening(port)
        }
    } catch  where !(error is CancellationError) && !isListening.withLock({ $0 }) {
        throw PerdureError(.configurationInvalid, problem, cause: error, metadata: metadata)
    }
}
