import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance

@testable import PerdurePostgres

/// One store in a database of its own, which goes with it.
final class PostgresHarness: StoreHarness {
    let clock = ManualClock()
    let database: TestDatabase

    init() async throws { database = try await TestDatabase() }

    func open(_ role: StoreConfiguration.Role) async throws -> any Store { try await open(role) { _ in } }

    func open(_ role: StoreConfiguration.Role, adjust: (inout PostgresOptions) -> Void) async throws -> PostgresStore {
        var options = PostgresOptions()
        options.clock = { [clock] in clock.now }
        adjust(&options)
        return try await PostgresStore.open(database.url, role: role, options: options)
    }

    func remove() async { await database.remove() }
}
