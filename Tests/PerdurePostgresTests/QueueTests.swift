import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What queues promise where several processes meet, beside what the suite asks of every store.
struct QueueTests: TwoNodeTests {
    private static let queue = QueueKey(namespace: "default", name: "mail")

    @Test func `what becomes free while another node admits is given away by that node`() async throws {
        try await withNodes { store, other, harness in
            try await limit(store, 1)
            try await other.renew(Self.second)
            var runs: [SampleRun] = []
            for _ in 0..<3 { runs.append(try await queued(in: store)) }
            #expect(try await store.admit().admitted == 1)
            var first = runs[0]
            let claims = try await other.claim(
                ClaimRequest(node: Self.second, build: "b1", hosted: Self.registration(Self.second).hosted, limit: 1))
            first.take(over: try #require(claims.runs.first))
            try await limit(store, 2)
            // It is held up in the middle of admitting the second one.
            let number = runs[1].number
            let held = try await harness.database.hold("SELECT 1 FROM perdure.places WHERE run = \(number) FOR UPDATE")
            async let admission = store.admit()
            try await harness.database.untilSomebodyWaitsForALock()
            let end = first.advance([EventDraft(.runCompleted)], to: .init(to: .completed))
            guard case .advanced? = try await other.commit([.advance(end)]).first else { throw NothingThrown() }
            // It is not waited for.
            #expect(try await other.admit().admitted == 0)
            try await held.commit()
            #expect(try await admission.admitted == 2)
            #expect(try await store.run(number: runs[2].number)?.isAdmitted == true)
        }
    }

    @Test func `starts and ends wait for nobody who admits or changes limits`() async throws {
        try await withNodes { store, _, harness in
            try await limit(store, 1)
            let first = try await queued(in: store)
            #expect(try await store.admit().admitted == 1)
            let held = try await harness.database.hold("SELECT 1 FROM perdure.queues, perdure.queue_keys FOR UPDATE")
            _ = try await queued(in: store)
            try await store.quarantine(first.number, reason: "why")
            try await held.commit()
            #expect(try await store.admit().admitted == 1)
        }
    }

    @Test func `a run that a commit holds is not waited for, and looked at again soon`() async throws {
        try await withNodes { store, _, harness in
            try await limit(store, 1)
            let run = try await queued(in: store)
            let held = try await harness.database.hold(
                """
                SELECT 1 FROM perdure.runs WHERE number = \(run.number) FOR NO KEY UPDATE;
                INSERT INTO perdure.wakes (run, workflow, version, anyone_at) VALUES (\(run.number), 'greeting', '1', 1)
                """)
            let admission = try await store.admit()
            #expect(admission.admitted == 0)
            let next = try #require(admission.next)
            try await held.commit()
            // What was delivered meanwhile keeps it from being admitted.
            harness.clock.advance(by: next.duration(since: harness.clock.now))
            #expect(try await store.admit().admitted == 0)
            try await harness.database.connect().perform {
                try $0.run("DELETE FROM perdure.wakes; UPDATE perdure.queues SET due_at = 0")
            }
            #expect(try await store.admit().admitted == 1)
        }
    }

    @Test func `a claim that sets a run aside frees its place`() async throws {
        try await withNodes { store, _, harness in
            try await limit(store, 1)
            let run = try await queued(in: store), next = try await queued(in: store)
            #expect(try await store.admit().admitted == 1)
            try await harness.database.connect().perform { session in
                try session.run("UPDATE perdure.events SET hash = '\\x00' WHERE run = \(run.number)")
            }
            let claimed = try await store.claim(Self.request(Self.first))
            #expect(claimed.setAside.map(\.number) == [run.number])
            #expect(try await store.admit().admitted == 1)
            #expect(try await store.run(number: next.number)?.isAdmitted == true)
        }
    }

    @Test func `admission reads no more than the heads of lines, whatever stands behind them`() async throws {
        try await withNodes { store, _, harness in
            try await limit(store, 1)
            try await harness.database.connect().perform { session in
                try session.run(
                    """
                    INSERT INTO perdure.runs (number, id, namespace, workflow, version, input_digest, salt, state, epoch, since,
                        created_at, queue, is_admitted)
                    SELECT number, gen_random_uuid(), 'default', 'greeting', '1', '', '', 'queued', 0, 0, 0, 1, false
                    FROM generate_series(1, 2000) AS number;
                    INSERT INTO perdure.places SELECT number, 1, 'k' || number % 100, number % 10, NULL, true, false
                    FROM perdure.runs;
                    INSERT INTO perdure.queue_keys SELECT 1, 'k' || n, 20, 0, n, false FROM generate_series(0, 99) AS n;
                    INSERT INTO perdure.queue_changes (queue, key, waiting, held) SELECT 1 + n % 50, 'k', 1, 0
                    FROM generate_series(1, 2000) AS n;
                    ANALYZE perdure.runs, perdure.places, perdure.queue_keys, perdure.queue_changes;
                    SET enable_seqscan = off; SET jit = off
                    """)
                let changes = try session.all(
                    SQL("EXPLAIN " + Session.takeChanges.text), Int64(1), Int64(1), Int64?.none
                ) { try $0.text(0) }
                #expect(changes.contains { $0.contains("queue_changes_order") }, "\(changes)")
                let keys = try session.all(SQL("EXPLAIN " + Session.waitingKeys.text), Int64(1), 5) { try $0.text(0) }
                #expect(keys.contains { $0.contains("queue_keys_turns") } && !keys.contains { $0.contains("Sort") }, "\(keys)")
                let heads = try session.all(SQL("EXPLAIN " + Session.heads.text), Int64(1), ["k1"], [3]) {
                    try $0.text(0)
                }
                #expect(heads.contains { $0.contains("places_line") } && !heads.contains { $0.contains("Sort") }, "\(heads)")
            }
        }
    }

    // MARK: Earlier releases

    @Test func `the first queue is refused beside a node of an earlier release, and closes the store to such for good`()
        async throws
    {
        try await withNodes { store, _, harness in
            // As the release before registers itself.
            func join(_ name: String) async throws {
                try await harness.database.connect().perform { session in
                    try session.run(
                        """
                        INSERT INTO perdure.nodes (id, build, host, process_id, hosted, started_at, lease_until)
                        VALUES ('\(name)', 'b0', 'old-host', 7, '[]', 0, 9000000000000000)
                        """)
                }
            }
            try await join("old")
            do throws(StoreError) {
                try await store.setQueue(Self.queue, QueueLimits(concurrency: 1), by: Sample.person)
                Issue.record("not refused")
            } catch {
                guard case .unusable(.queueNeedsUpgrade, let message) = error else { throw error }
                #expect(message.contains("old (process 7 on old-host)"))
            }
            #expect(try await harness.ask("SELECT value FROM perdure.meta WHERE name = 'oldest_compatible_schema'") == ["1"])
            #expect(try await store.queues(namespace: nil).isEmpty)
            try await harness.database.connect().perform { try $0.run("UPDATE perdure.nodes SET ended_at = 1 WHERE id = 'old'") }
            try await limit(store, 1)
            await #expect(throws: StoreError.self) { try await join("older") }
            #expect(try await harness.ask("SELECT value FROM perdure.meta WHERE name = 'oldest_compatible_schema'") == ["3"])
            // The second one finds it closed.
            try await store.setQueue(QueueKey(namespace: "default", name: "more"), QueueLimits(concurrency: 1), by: Sample.person)
        }
    }

    // MARK: Scenery

    private func limit(_ store: PostgresStore, _ concurrency: Int) async throws {
        try await store.setQueue(Self.queue, QueueLimits(concurrency: concurrency), by: Sample.person)
    }

    private func queued(in store: PostgresStore) async throws -> SampleRun {
        var run = SampleRun(place: QueuePlace("mail"))
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        return run
    }
}
