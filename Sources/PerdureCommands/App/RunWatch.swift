internal import Perdure
package import PerdureEngine
internal import PerdureStore

/// Looks at a run beside the process that hosts it, whenever the store says that somebody has written.
package struct RunWatch: Sendable {
    package let client: Client
    /// A ring can be missed while the watch begins; a slow look makes up for it.
    private static let slowLook = Duration.seconds(1)

    package init(client: Client) { self.client = client }

    /// Returns when the condition holds; cancelled, it throws `CancellationError`.
    package func wait(until condition: (Client) async throws -> Bool) async throws {
        let (rings, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        client.store.onOutsideDelivery { continuation.yield() }
        let timer = Task {
            while (try? await Task.sleep(for: Self.slowLook)) != nil { continuation.yield() }
        }
        defer { timer.cancel() }
        continuation.yield()
        for await _ in rings where try await condition(client) { return }
        throw CancellationError()
    }

    /// How the run ended.
    func outcome(of id: RunID) async throws -> RunOutcome {
        try await wait { client in
            let state = try await client.record(id).state
            return state.isFinal || state == .quarantined
        }
        return try await RunOutcome.read(id, client)
    }
}
