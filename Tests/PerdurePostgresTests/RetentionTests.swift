import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What a database refuses to those who know nothing of settings of namespaces, and how it finds what is past its time.
struct RetentionTests {
    // As an earlier release has them.
    private static let bury = """
        UPDATE perdure.runs SET expired_at = closed_at + 1000000, last_seq = 2, leftover = true,
            last_hash = (SELECT hash FROM perdure.events WHERE run = runs.number ORDER BY seq DESC LIMIT 1)
        """
    private static let settle = "UPDATE perdure.runs SET leftover = false"
    private static let remove = "DELETE FROM perdure.runs"

    /// A database with one closed run, whose namespace has these terms.
    private func withClosedRun(
        _ terms: RetentionTerms?, isArchived: Bool = false, _ body: @Sendable (Connection) async throws -> Void
    ) async throws {
        let harness = try await PostgresHarness()
        let store = try await harness.open(.engine)
        let node = NodeID(rawValue: "node-1")
        try await store.register(NodeRegistration(id: node, build: "b1", host: "host", processID: 1))
        var run = SampleRun(owner: node)
        guard case .created(let record) = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        _ = try await store.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
        if let terms {
            let row = NamespaceRow(
                name: "default", version: 1, terms: terms, changedBy: Sample.person, changedAt: harness.clock.now)
            let isSet = try await store.setNamespace(NamespaceChange("default", on: nil, to: row))
            #expect(isSet)
        }
        if isArchived {
            let note = ArchivedHistory(run: run.number, lastHash: run.head.hash, digest: [UInt8](repeating: 1, count: 32))
            let noted = try await store.noteArchived([note])
            #expect(noted == [run.number])
        }
        let connection = try harness.database.connect()
        try await body(connection)
        await connection.close()
        await store.close()
        await harness.remove()
    }

    private static func isRefused(_ script: String, _ connection: Connection) async -> Bool {
        do throws(StoreError) {
            try await connection.perform { try $0.run(script) }
            return false
        } catch {
            return error.description.contains("namespace")
        }
    }

    @Test func `without settings nothing changes for an earlier release`() async throws {
        try await withClosedRun(nil) { connection in
            for script in [Self.bury, Self.settle, Self.remove] { try await connection.perform { try $0.run(script) } }
        }
    }

    @Test(arguments: [
        RetentionTerms(), RetentionTerms(closedAfter: .seconds(1)), RetentionTerms(closedAfter: .zero, archives: true),
    ])
    func `an earlier release removes no history that is to stay`(terms: RetentionTerms) async throws {
        try await withClosedRun(terms) { connection async throws in
            #expect(await Self.isRefused(Self.bury, connection))
        }
    }

    @Test func `an earlier release removes what may go, but no tombstone of a namespace with settings`() async throws {
        let terms = RetentionTerms(closedAfter: .milliseconds(999), archives: true)
        try await withClosedRun(terms, isArchived: true) { connection in
            for script in [Self.bury, Self.settle] { try await connection.perform { try $0.run(script) } }
            #expect(await Self.isRefused(Self.remove, connection))
        }
    }

    private static let plans: [(SQL, String, Bool)] = [
        (SQL("EXPLAIN " + ExpiringSession.candidates.text), "runs_closings", true),
        (SQL("EXPLAIN " + ExpiringSession.nextClosed.text), "runs_closings", false),
        (SQL("EXPLAIN " + ExpiringSession.nextTombstones.text), "runs_burials", false),
    ]
    private static let tombstones = SQL("EXPLAIN " + ExpiringSession.tombstones.text)

    @Test func `what is past its time is found by namespace, also where one has nearly all runs`() async throws {
        let harness = try await PostgresHarness()
        let store = try await harness.open(.engine) { _ in }
        let connection = try harness.database.connect()
        try await connection.perform { session in
            try session.run(
                """
                INSERT INTO perdure.runs (number, id, namespace, workflow, version, input_digest, salt, state, epoch, since, created_at,
                    closed_at, expired_at, last_seq, last_hash)
                SELECT n, gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN 'small' ELSE 'default' END, 'w', '1', '', '', 'completed', 1, n,
                    n, n, CASE WHEN n % 2 = 0 THEN n END, CASE WHEN n % 2 = 0 THEN 1 END, CASE WHEN n % 2 = 0 THEN ''::bytea END
                FROM generate_series(1, 20000) AS n
                """)
        }
        for isAnalyzed in [false, true] {
            if isAnalyzed { try await connection.perform { try $0.run("ANALYZE perdure.runs") } }
            try await store.write { session in
                func check(_ lines: [String], _ index: String) {
                    let plan = lines.joined(separator: "\n")
                    #expect(plan.contains(index) && !plan.contains("Filter: ((namespace"), "\(plan)")
                    if isAnalyzed { #expect(!plan.contains("Sort"), "\(plan)") }
                }
                for (sql, index, hasPlace) in Self.plans {
                    let lines =
                        hasPlace
                        ? try session.all(sql, "small", Int64(5), Int64(1), Int64(9_000), Int64(64)) { try $0.text(0) }
                        : try session.all(sql, "a") { try $0.text(0) }
                    check(lines, index)
                }
                let lines = try session.all(Self.tombstones, "small", Int64(9_000), Int64(64)) { try $0.text(0) }
                check(lines, "runs_burials")
            }
        }
        await connection.close()
        await store.close()
        await harness.remove()
    }
}
