import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What quotas promise where several processes meet, beside what the suite asks of every store.
struct QuotaTests: TwoNodeTests {
    private static let ada = Principal(.human, "ada")

    struct Short: Workflow {
        static let name = "short"
        static let version: WorkflowVersion = "1"
        static let owner = "tests"
        func run(_ input: Int, _ context: WorkflowContext) async throws -> Int { input }
    }

    struct Long: Workflow {
        static let name = "long"
        static let version: WorkflowVersion = "1"
        static let owner = "tests"

        func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
            try await context.sleep(for: .seconds(86_400))
            return input
        }
    }

    // Promise: 46
    @Test func `of two engines that start runs at once neither gets a place too many`() async throws {
        let database = try await TestDatabase(), place = StoreConfiguration.postgres(try database.url)
        var engines: [Engine] = []
        for _ in 0..<2 {
            engines.append(
                try await Engine(store: place) {
                    Short()
                    Long()
                })
        }
        let running = engines.map { engine in Task { try await engine.run() } }
        try await engines[0].client.changeQuotas(of: "default", by: Self.ada) { $0.openRuns = 7 }
        let started = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                let engine = engines[number % 2]
                group.addTask {
                    do {
                        _ = try await engine.start(Long.self, input: number, by: Self.ada)
                        return true
                    } catch let error as PerdureError where error.code == .quotaExceeded {
                        return false
                    }
                }
            }
            return try await group.reduce(0) { $1 ? $0 + 1 : $0 }
        }
        #expect(started == 7)
        #expect(try await engines[1].client.quotas()["default"]?.openRuns == 7)
        // What ends makes room, whichever node it ends on.
        try await engines[1].client.changeQuotas(of: "default", by: Self.ada) { $0.openRuns = 9 }
        for number in 0..<30 {
            let run = try await engines[number % 2].start(Short.self, input: number, by: Self.ada)
            #expect(try await run.result() == number)
        }
        #expect(try await engines[0].client.store.audit() == [])
        for task in running { task.cancel() }
        for task in running { try await task.value }
        await database.remove()
    }

    @Test func `whoever is in the middle of a commit when quotas are set is counted`() async throws {
        try await withNodes { store, _, harness in
            let begun = try await owned(store)
            let held = try await harness.database.hold(
                """
                -- As any release ends a run.
                UPDATE perdure.runs SET state = 'ready', owner = NULL WHERE number = \(begun.number);
                \(Self.insertion)
                """)
            async let isSet = store.setQuotas(
                QuotaChange("default", from: NamespaceQuotas(), to: NamespaceQuotas(openRuns: 5), by: Sample.person))
            try await harness.database.untilSomebodyWaitsForALock()
            try await held.commit()
            #expect(try await isSet)
            #expect(try await store.quotas().first?.openRuns == 2)
        }
    }

    // Promise: 46
    @Test func `a start that is under way while the first quota is set is counted before it holds`() async throws {
        try await withNodes { store, other, harness in
            let row = ScheduleRow(
                key: ScheduleKey(namespace: "default", id: "s"), version: 1, dueAt: nil, document: "{}")
            _ = try await store.commit([.schedule(ScheduleChange(row.key, on: nil, to: row))])
            // It has asked whether there are quotas, and stands before what it has to write.
            let held = try await harness.database.hold("SELECT 1 FROM perdure.schedules FOR UPDATE")
            var next = row
            next.version = 2
            let fired = CommitItem.schedule(ScheduleChange(row.key, on: 1, to: next, starts: [SampleRun(key: "a").new]))
            async let started = store.commit([fired])
            try await harness.database.untilSomebodyWaitsForALock()
            async let isSet = other.setQuotas(
                QuotaChange("default", from: NamespaceQuotas(), to: NamespaceQuotas(openRuns: 0), by: Sample.person))
            var isWaiting = false, isOver = false
            while !isWaiting, !isOver {
                isWaiting = try await !harness.ask(
                    """
                    SELECT 1 FROM pg_locks WHERE relation = 'perdure.runs'::regclass AND mode = 'ShareRowExclusiveLock' AND NOT granted
                    """
                ).isEmpty
                isOver = try await !other.quotas().isEmpty
            }
            #expect(!isOver, "the quota holds, and somebody who has not seen it starts a run")
            try await held.commit()
            guard case .scheduled? = try await started.first else { throw NothingThrown() }
            #expect(try await isSet)
            #expect(try await store.quotas().first?.openRuns == 1)
        }
    }

    @Test func `what is left of quotas that were broken off while they were set is taken away with all of them`() async throws {
        try await withNodes { store, _, harness in
            let client = try await Client(.postgres(try harness.database.url)), rows = "SELECT count(*) FROM perdure.quotas"
            for _ in 0..<2 {
                let connection = try harness.database.connect()
                try await connection.perform { session in
                    try session.run(
                        "INSERT INTO perdure.quotas (namespace, changed_by, changed_at) VALUES ('default', 'human:alice', 0)")
                }
                await connection.close()
                #expect(try await store.quotas() == [])
                _ = try await client.changeQuotas(of: "default", by: Self.ada) { $0.payloadBytes = nil }
                #expect(try await harness.ask(rows) == ["0"])
            }
            await client.close()
        }
    }

    /// A run as a release begins it that knows no quotas.
    private static let insertion = """
        INSERT INTO perdure.runs (number, id, namespace, workflow, version, input_digest, salt, state, epoch, since, created_at)
        VALUES (nextval('perdure.run_numbers'), gen_random_uuid(), 'default', 'greeting', '1', 'd', '', 'ready', 0, 0, 0)
        """

    @Test func `nodes of an earlier release are counted, and what changes does not pile up where nobody starts runs`()
        async throws
    {
        try await withNodes { store, _, harness in
            let quotas = NamespaceQuotas(openRuns: 1_000)
            #expect(try await store.setQuotas(QuotaChange("default", from: NamespaceQuotas(), to: quotas, by: Sample.person)))
            let writer = try harness.database.connect()
            try await writer.perform { session in
                for _ in 0..<300 { try session.run(Self.insertion) }
                for number in 1...300 {
                    try session.run(
                        """
                        UPDATE perdure.runs SET state = 'completed', closed_at = 1 WHERE number = (
                            SELECT min(number) FROM perdure.runs WHERE state = 'ready') AND \(number) <= 290
                        """)
                }
            }
            #expect(try await store.quotas().first?.openRuns == 10)
            let piled = try await harness.ask("SELECT count(*) FROM perdure.quota_changes").first.flatMap { Int($0) }
            #expect(piled ?? .max < 256)
            await writer.close()
        }
    }

    @Test func `a store without quotas has none of their triggers, and commits hold nothing of them`() async throws {
        try await withNodes { store, _, harness in
            let triggers =
                "SELECT tgname FROM pg_trigger WHERE tgrelid IN ('perdure.runs'::regclass, 'perdure.events'::regclass, "
                + "'perdure.blobs'::regclass) AND NOT tgisinternal ORDER BY tgname"
            let before = try await harness.ask(triggers)
            #expect(before == ["runs_kept", "runs_remembered"])
            let open = NamespaceQuotas(openRuns: 5)
            _ = try await store.setQuotas(QuotaChange("other", from: NamespaceQuotas(), to: open, by: Sample.person))
            #expect(try await harness.ask(triggers) == ["runs_begun", "runs_kept", "runs_moved", "runs_remembered"])
            // Another namespace's start waits for nobody who holds these.
            let held = try await harness.database.hold("SELECT 1 FROM perdure.quotas FOR UPDATE")
            _ = try await owned(store)
            try await held.commit()
        }
    }

    @Test func `who may not make triggers is told so before anybody waits, with the statement that helps`() async throws {
        try await withNodes { store, _, harness in
            let owner = try harness.database.connect()
            let role = "r\(UUID().uuidString.lowercased().replacing("-", with: ""))"
            try await owner.perform { session in
                try session.run(
                    """
                    CREATE ROLE \(role) LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA perdure TO \(role);
                    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA perdure TO \(role);
                    GRANT USAGE ON ALL SEQUENCES IN SCHEMA perdure TO \(role)
                    """)
            }
            var parts = try harness.database.parts
            (parts.user, parts.password) = (role, "p")
            let user = try await PostgresStore.open(try #require(parts.string), role: .client, options: PostgresOptions())
            // A commit that is under way would have to end first.
            let held = try await harness.database.hold("LOCK TABLE perdure.runs IN ROW EXCLUSIVE MODE")
            let quotas = NamespaceQuotas(openRuns: 1, payloadBytes: 1_000)
            let change = QuotaChange("default", from: NamespaceQuotas(), to: quotas, by: Sample.person)
            let error = try await storeError { _ = try await user.setQuotas(change) }
            #expect(error.kind == "store_refused", "\(error)")
            #expect(
                error.description.contains("GRANT TRIGGER ON perdure.runs, perdure.events, perdure.blobs TO \(role)"), "\(error)")
            try await held.commit()
            try await owner.perform { session in
                try session.run("GRANT TRIGGER ON perdure.runs, perdure.events, perdure.blobs TO \(role)")
            }
            #expect(try await user.setQuotas(change))
            #expect(try await user.setQuotas(QuotaChange("default", from: quotas, to: NamespaceQuotas(), by: Sample.person)))
            await user.close()
            try await owner.perform { try $0.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
            await owner.close()
        }
    }

    @Test func `nothing waits behind the count of what a namespace has, however long it takes`() async throws {
        try await withNodes { store, _, harness in
            _ = try await owned(store)
            try await store.setQueue(QueueKey(namespace: "default", name: "q"), QueueLimits(concurrency: 1), by: Sample.person)
            // The count gets no further.
            let held = try await harness.database.hold("LOCK TABLE perdure.quota_changes IN ACCESS EXCLUSIVE MODE")
            let quotas = NamespaceQuotas(openRuns: 5, payloadBytes: 1_000)
            async let isSet = store.setQuotas(QuotaChange("default", from: NamespaceQuotas(), to: quotas, by: Sample.person))
            while try await harness.ask(
                "SELECT 1 FROM pg_locks WHERE relation = 'perdure.quota_changes'::regclass AND NOT granted"
            ).isEmpty { await Task.yield() }
            for concurrency in 2...4 {
                try await store.setQueue(
                    QueueKey(namespace: "default", name: "q"), QueueLimits(concurrency: concurrency), by: Sample.person)
                _ = try await store.admit()
            }
            try await held.commit()
            #expect(try await isSet)
            #expect(try await store.quotas().first?.openRuns == 1)
        }
    }

    @Test func `a count that is under way keeps what it goes by, whoever takes quotas away meanwhile`() async throws {
        try await withNodes { store, other, harness in
            let none = NamespaceQuotas(), runs = NamespaceQuotas(openRuns: 5)
            let both = NamespaceQuotas(openRuns: 5, payloadBytes: 1_000)
            _ = try await owned(store)
            for name in ["default", "other"] {
                #expect(try await store.setQuotas(QuotaChange(name, from: none, to: runs, by: Sample.person)))
            }
            // The count gets no further.
            let held = try await harness.database.hold("LOCK TABLE perdure.quota_changes IN ACCESS EXCLUSIVE MODE")
            async let isSet = store.setQuotas(QuotaChange("default", from: runs, to: both, by: Sample.person))
            try await harness.database.untilSomebodyWaitsForALock()
            let ofValues = try await harness.ask(Self.triggers)
            #expect(ofValues.contains("events_added"))
            #expect(try await other.setQuotas(QuotaChange("other", from: runs, to: none, by: Sample.person)))
            #expect(try await harness.ask(Self.triggers) == ofValues)
            try await held.commit()
            #expect(try await isSet)
            #expect(try await store.quotas().map(\.payloadBytes) == [14])
            // With the count over they go.
            #expect(try await store.setQuotas(QuotaChange("default", from: both, to: none, by: Sample.person)))
            #expect(try await harness.ask(Self.triggers) == [])
        }
    }

    private static let triggers = """
        SELECT tgname FROM pg_trigger WHERE tgrelid IN ('perdure.runs'::regclass, 'perdure.events'::regclass, 'perdure.blobs'::regclass)
            AND NOT tgisinternal AND tgname NOT IN ('runs_kept', 'runs_remembered') ORDER BY tgname
        """

    @Test func `triggers go with the last quota that needs them, and what comes after is counted anew`() async throws {
        try await withNodes { store, _, harness in
            let none = NamespaceQuotas(), runs = NamespaceQuotas(openRuns: 5)
            let both = NamespaceQuotas(openRuns: 5, payloadBytes: 1_000), ofRuns = ["runs_begun", "runs_moved"]
            let ofValues = ["blobs_added", "blobs_removed", "events_added", "events_removed"]
            func set(_ namespace: String, _ from: NamespaceQuotas, _ quotas: NamespaceQuotas) async throws {
                #expect(try await store.setQuotas(QuotaChange(namespace, from: from, to: quotas, by: Sample.person)))
            }
            _ = try await owned(store)
            try await set("default", none, both)
            try await set("other", none, both)
            try await set("default", both, runs)
            // Somebody else needs them still, and so they go on counting here.
            #expect(try await harness.ask(Self.triggers) == ofValues + ofRuns)
            #expect(try await store.quotas().first?.payloadBytes == 14)
            try await set("other", both, none)
            #expect(try await harness.ask(Self.triggers) == ofRuns)
            #expect(try await store.quotas().map(\.payloadBytes) == [nil])
            _ = try await owned(store)
            try await set("default", runs, both)
            #expect(try await store.quotas().map(\.payloadBytes) == [28])
            try await set("default", both, none)
            #expect(try await harness.ask(Self.triggers) == [])
            _ = try await owned(store)
            try await set("default", none, both)
            _ = try await owned(store)
            let standing = try await store.quotas()
            #expect(standing.map(\.openRuns) == [4] && standing.map(\.payloadBytes) == [56])
            #expect(try await store.audit() == [])
        }
    }

    @Test func `quotas that cannot be set because a table is in use say by whom, and commits pass in between`() async throws {
        try await withNodes { store, _, harness in
            // As a vacuum that does not yield, or an index that is built beside all work.
            let held = try await harness.database.hold(
                "SET LOCAL application_name = 'the-index'; LOCK TABLE perdure.runs IN SHARE UPDATE EXCLUSIVE MODE")
            let change = QuotaChange("default", from: NamespaceQuotas(), to: NamespaceQuotas(openRuns: 5), by: Sample.person)
            let setting = Task { try await store.setQuotas(change) }
            try await harness.database.untilSomebodyWaitsForALock()
            for _ in 0..<3 { _ = try await owned(store) }
            let error = try await storeError { try await setting.value }
            #expect(error.description.contains("(the-index) has ShareUpdateExclusiveLock on runs"), "\(error)")
            #expect(try await harness.ask("SELECT count(*) FROM perdure.quotas") == ["0"])
            try await held.commit()
            #expect(try await store.setQuotas(change))
            #expect(try await store.quotas().first?.openRuns == 3)
        }
    }

    @Test func `quotas that cannot be read hide those of no other namespace, and nobody starts anything under them`() async throws
    {
        try await withNodes { store, _, harness in
            let quotas = NamespaceQuotas(starts: Rate(5, per: .seconds(1)))
            for name in ["bad", "good"] {
                #expect(
                    try await store.setQuotas(QuotaChange(name, from: NamespaceQuotas(), to: quotas, by: Sample.person)))
            }
            let connection = try harness.database.connect()
            try await connection.perform { session in
                try session.run(
                    """
                    DO $body$ DECLARE name text; BEGIN
                        FOR name IN SELECT conname FROM pg_constraint
                            WHERE conrelid = 'perdure.quotas'::regclass AND contype = 'c' LOOP
                            EXECUTE format('ALTER TABLE perdure.quotas DROP CONSTRAINT %I', name);
                        END LOOP;
                    END $body$;
                    UPDATE perdure.quotas SET rate_period = NULL WHERE namespace = 'bad'
                    """)
            }
            await connection.close()
            #expect(try await store.quotas().map(\.namespace) == ["good"])
            let results = try await store.commit(["bad", "good"].map { SampleRun(namespace: $0).creation })
            guard case .refused(.invalid) = results[0], case .created = results[1] else { throw NothingThrown() }
            #expect(try await store.audit().contains { $0.contains("quotas of a namespace cannot be read") })
        }
    }
}
