import Perdure
import PerdureStore
import Testing

@testable import PerdurePostgres

/// What becomes of a schema when a store is opened.
struct OpeningTests {
    @Test func `a store of an earlier schema gets what it lacks from an engine, and keeps what it has`() async throws {
        let harness = try await PostgresHarness()
        var store = try await harness.open(.engine)
        let identity = store.identity
        await store.close()
        let connection = try harness.database.connect()
        try await connection.perform { session in
            try session.run("DROP TABLE perdure.schedules; UPDATE perdure.meta SET value = '1' WHERE name = 'schema'")
        }
        await #expect(throws: StoreError.self) { try await harness.open(.client) }
        store = try await harness.open(.engine)
        #expect(store.identity == identity)
        #expect(try await store.schedules(.listed(namespace: nil, after: nil, limit: 1)).isEmpty)
        #expect(try await store.audit() == [])
        await store.close()
        await (try harness.open(.client)).close()
        await connection.close()
        await harness.remove()
    }
}
