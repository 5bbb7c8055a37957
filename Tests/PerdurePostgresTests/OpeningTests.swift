import Perdure
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What becomes of a schema when a store is opened.
struct OpeningTests {
    @Test func `a store of an earlier schema gets what it lacks from an engine, and keeps what it has`() async throws {
        let harness = try await PostgresHarness()
        let connection = try harness.database.connect()
        // As the first release has left it, with the names that the server has given to what had none.
        try await connection.perform { session in
            try session.run(
                """
                CREATE SCHEMA perdure; CREATE TABLE perdure.meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);
                INSERT INTO perdure.meta VALUES ('identity', 'kept'), ('schema', '1'), ('oldest_compatible_schema', '1')
                """)
            try session.run(Schema.version1)
        }
        await #expect(throws: StoreError.self) { try await harness.open(.client) }
        let store = try await harness.open(.engine)
        #expect(store.identity == "kept")
        // What the narrower rules of that release would refuse.
        try await store.setQueue(QueueKey(namespace: "default", name: "mail"), QueueLimits(concurrency: 0), by: Sample.person)
        let run = SampleRun(place: QueuePlace("mail"), deadline: Sample.start)
        guard case .created? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        // The others are kept.
        await #expect(throws: StoreError.self) {
            try await connection.perform { try $0.run("UPDATE perdure.runs SET state = 'completed', wake_at = NULL") }
        }
        #expect(try await store.schedules(.listed(namespace: nil, after: nil, limit: 1)).isEmpty)
        #expect(try await store.audit() == [])
        await store.close()
        await (try harness.open(.client)).close()
        await connection.close()
        await harness.remove()
    }
}
