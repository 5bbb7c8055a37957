import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What becomes of a schema when a store is opened.
struct OpeningTests {
    private static let thirdSchema = """
        DROP TRIGGER runs_kept ON perdure.runs; DROP TRIGGER runs_remembered ON perdure.runs;
        DROP FUNCTION perdure.keep_run; DROP FUNCTION perdure.keep_tombstone;
        DROP INDEX perdure.runs_closings; DROP INDEX perdure.runs_burials;
        ALTER TABLE perdure.runs DROP COLUMN archived_at, DROP COLUMN archived_hash, DROP COLUMN archive_digest;
        DROP TABLE perdure.namespaces, perdure.quotas, perdure.quota_changes, perdure.circuits;
        DROP FUNCTION perdure.take_in_quota_changes, perdure.count_begun_runs, perdure.count_moved_run, perdure.count_values,
            perdure.count_blobs;
        DROP TRIGGER nodes_restored ON perdure.nodes; DROP FUNCTION perdure.refuse_node; DROP TABLE perdure.restorations; DROP TABLE perdure.control;
        ALTER TABLE perdure.nodes DROP COLUMN server, DROP COLUMN verifies;
        UPDATE perdure.meta SET value = '3' WHERE name = 'schema'
        """

    @Test func `the indexes of retention are made beside the work of an earlier store, and nothing expires before`() async throws
    {
        let harness = try await PostgresHarness()
        var store = try await harness.open(.engine) { _ in }
        let connection = try harness.database.connect()
        try await store.register(NodeRegistration(id: NodeID(rawValue: "n"), build: "b1", host: "host", processID: 1))
        var run = SampleRun(owner: NodeID(rawValue: "n"))
        guard case .created(let record) = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        _ = try await store.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
        await store.close()
        try await connection.perform { session in try session.run(Self.thirdSchema) }
        store = try await harness.open(.engine) { _ in }
        harness.clock.advance(by: .seconds(60))
        let request = ExpiryRequest(closedBefore: harness.clock.now, limit: 1_000)
        let early = try await store.expire(request)
        #expect(early.expired == 0 && early.isDone)
        await store.retentionIndexes.made()
        #expect(try await store.expire(request).expired == 1)
        await store.close()
        await connection.close()
        await harness.remove()
    }

    @Test func `an index that was begun and not finished is made anew`() async throws {
        let harness = try await PostgresHarness()
        let store = try await harness.open(.engine) { _ in }
        let connection = try harness.database.connect()
        try await connection.perform { session in
            try session.run(
                """
                UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'perdure.runs_burials'::regclass;
                DROP INDEX perdure.runs_closings
                """)
        }
        #expect(try await store.retentionIndexes.areThere(store) == false)
        await store.retentionIndexes.made()
        #expect(try await store.retentionIndexes.areThere(store))
        await store.close()
        await connection.close()
        await harness.remove()
    }

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

    @Test func `a pooler that gives its sessions away after each transaction is refused`() async throws {
        let harness = try await PostgresHarness(behind: .transaction)
        for prepares in [true, false] {
            var parts = try harness.database.parts
            parts.port = try PostgresServer.Pooler.transaction.port
            parts.query = prepares ? nil : "perdure_prepare=false"
            let url = try #require(parts.string)
            let error = try await storeError { try await PostgresStore.open(url, role: .engine, options: PostgresOptions()) }
            #expect(error.kind == "usage" && error.description.contains("session mode"))
        }
        await harness.remove()
    }

    @Test func `an engine says at its start which rights its user lacks`() async throws {
        let harness = try await PostgresHarness(), owner = try harness.database.connect()
        await (try harness.open(.engine)).close()
        let role = "r\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        try await owner.perform { session in
            try session.run(
                """
                CREATE ROLE \(role) LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA perdure TO \(role);
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA perdure TO \(role);
                GRANT USAGE ON ALL SEQUENCES IN SCHEMA perdure TO \(role);
                REVOKE DELETE ON perdure.inbox FROM \(role); REVOKE USAGE ON SEQUENCE perdure.run_numbers FROM \(role)
                """)
        }
        var parts = try harness.database.parts
        parts.user = role
        parts.password = "p"
        let url = try #require(parts.string)
        let error = try await storeError { try await PostgresStore.open(url, role: .engine, options: PostgresOptions()) }
        #expect(error.kind == "store_refused" && error.description.contains("inbox (DELETE), run_numbers (USAGE)"))
        try await owner.perform { session in
            try session.run("GRANT DELETE ON perdure.inbox TO \(role); GRANT USAGE ON SEQUENCE perdure.run_numbers TO \(role)")
        }
        // What it has now is enough for the whole life of a node.
        let store = try await PostgresStore.open(url, role: .engine, options: PostgresOptions())
        let node = NodeID(rawValue: "n")
        try await store.register(NodeRegistration(id: node, build: "b1", host: "host", processID: 1))
        var run = SampleRun(owner: node)
        guard case .created(let record) = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        _ = try await store.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
        #expect(try await store.expire(ExpiryRequest(closedBefore: store.now() + .seconds(60), limit: 1_000)).expired == 1)
        #expect(try await store.audit() == [])
        try await store.unregister(node)
        await store.close()
        try await owner.perform { try $0.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        await owner.close()
        await harness.remove()
    }
}
