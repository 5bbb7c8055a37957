internal import Perdure
package import PerdureEngine
internal import PerdureStore

/// Looks at a run beside the process that hosts it, whenever the store says that somebody has written.
package struct RunWatch: Sendable {
    package let client: Client

    package init(client: Client) { self.client = client }

    /// Returns when the condition holds; cancelled, it throws `CancellationError`.
    package func wait(until condition: (Client) async throws -> Bool) async throws { try await client.wait(until: condition) }

    /// How the run ended.
    func outcome(of id: RunID) async throws -> RunOutcome {
        try await wait { client in
            let state = try await client.record(id).state
            return state.isFinal || state == .quarantined
        }
        return try await RunOutcome.read(id, client)
    }
}
