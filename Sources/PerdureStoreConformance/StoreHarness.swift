package import PerdureStore

/// What the suite must know of a kind of store: how to make an empty one, and how to open it again.
package protocol StoreHarness: Sendable {
    /// The clock of every store that this harness opens.
    var clock: ManualClock { get }
    /// Opens the one store of this harness, as another process would: nothing is shared but what is durable.
    func open(_ role: StoreConfiguration.Role) async throws -> any Store
    /// Writes a text into a table of its own, on the connection that a transaction lends. Only a store with transactions is asked.
    func write(_ text: String, with connection: Any) throws
    /// What stands there, as another process sees it.
    func written() async throws -> [String]
    /// Removes what the store left, after it was closed.
    func remove() async
}

extension StoreHarness {
    package func write(_ text: String, with connection: Any) throws {
        throw Unexpected("a store without transactions", connection)
    }
    package func written() async throws -> [String] { [] }
}

/// One promise of the contract, and how to see whether a store keeps it.
package struct ConformanceCheck: Sendable, CustomStringConvertible {
    /// The promise, as a sentence.
    package let description: String
    private let body: @Sendable (Scene) async throws -> Void

    init(_ promise: String, _ body: @escaping @Sendable (Scene) async throws -> Void) {
        description = promise
        self.body = body
    }

    /// Runs the check on a store of its own. Whatever the check did, the store must be sound after it.
    package func run(on harness: some StoreHarness) async throws {
        let scene = try await Scene(harness)
        do {
            try await body(scene)
            try await scene.finish()
        } catch {
            await scene.abandon()
            throw error
        }
    }
}

/// What stores promise. Each runs the list that is for all, and those that are for stores of its kind.
package enum StoreConformance {
    /// What every store keeps.
    package static let checks: [ConformanceCheck] =
        creation + gate + events + heartbeats + claims + causes + wakes + takeover + renewal + afterEnd + inbox + children
        + outside + schedules
        + succession + businessKeys
        + queues + queuedRuns + attention + listing + retention + namespaces + control + quotas + quotasOfValues + restoration
        + faults
}
