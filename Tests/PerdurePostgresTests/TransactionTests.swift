import Foundation
import Perdure
import PerdureHistory
import PerdureProcess
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What the work of a step may do on the connection that it is lent.
struct TransactionTests {
    @Test func `values come back as they were given`() async throws {
        try await lent { connection in
            let row = try #require(
                try connection.rows(
                    "SELECT $1::bigint AS whole, $2::float8, $3::text, $4::bytea, $5::boolean, $6::text, $7::date", Int64.min,
                    0.1,
                    "a 'quoted' \\ text é", Data([0, 1, 255]), true, String?.none, "2026-11-22"
                ).first)
            #expect(
                row.values == [
                    .integer(.min), .real(0.1), .text("a 'quoted' \\ text é"), .bytes(Data([0, 1, 255])), .bool(true), .null,
                    .text("2026-11-22"),
                ])
            #expect(row["whole"] == .integer(.min) && row["no such"].isNull && row[99].isNull)
        }
    }

    @Test func `what a statement changes is counted`() async throws {
        try await lent { connection in
            try connection.execute("CREATE TEMPORARY TABLE things (number bigint)")
            #expect(try connection.execute("INSERT INTO things SELECT generate_series(1, 5)") == 5)
            #expect(try connection.execute("DELETE FROM things WHERE number > $1", 3) == 2)
        }
    }

    @Test(arguments: [
        "COMMIT", " /* a /* nested */ comment */ rollback", "-- a comment\nSAVEPOINT a", "SET search_path = a", "RESET ALL",
        "COPY t FROM stdin", "LISTEN a", "PREPARE TRANSACTION 'a'", "DISCARD ALL",
        "SELECT * FROM perdure.runs", "DELETE FROM \"perdure\".events", "select 1 from PERDURE . runs",
        "DROP SCHEMA perdure CASCADE", "SELECT E'\\'', * FROM perdure.runs --'", "SELECT 1 AS a$b$, * FROM perdure.runs",
        "DO 'BEGIN DELETE FROM perdure.runs; END'",
    ])
    func `what is not an author's is refused`(_ sql: String) async throws {
        try await lent { connection in
            let error = try thrownError { try connection.execute(sql) }
            #expect(error.sqlState == "42501" && !error.isRetryable && error.isDefinite)
            // Nothing was sent: the work goes on.
            #expect(try connection.rows("SELECT 1").count == 1)
        }
    }

    @Test(arguments: [
        "SELECT 'perdure.runs'", "SELECT $a$ COMMIT perdure $a$", "SELECT 1 -- perdure", "SELECT 'it''s' AS perdure_not",
        "SELECT E'it\\'s perdure'", "SELECT 1 AS perdure", "SELECT 1 AS \"Perdure\"", "SET CONSTRAINTS ALL DEFERRED",
    ])
    func `words in texts, comments and other names are nobody's business`(_ sql: String) async throws {
        try await lent { connection in
            let rows = try connection.rows(sql)
            #expect(rows.count <= 1)
        }
    }

    @Test func `after an error nothing is done any more, whatever the work makes of it`() async throws {
        try await lent { connection in
            try expectError("22012") { _ = try connection.rows("SELECT 1/0") }
            try expectError("22012") { _ = try connection.rows("SELECT 1") }
            try expectError("22012") { try connection.settle() }
        }
    }

    @Test(arguments: [
        ("SELECT $1::bigint + $2::bigint", "08P01", false), ("SELECT lastval()", "55000", false), ("SELECT 1/0", "22012", false),
        ("SELECT no_such", "42703", false), ("SELECT pg_terminate_backend(pg_backend_pid())", "08006", true),
    ])
    func `what may pass is told from what will not`(_ sql: String, _ state: String, _ mayPass: Bool) async throws {
        try await lent { connection in
            let error = try thrownError { try connection.rows(sql) }
            #expect(error.sqlState == state && error.isRetryable == mayPass && error.isDefinite)
        }
    }

    @Test func `a connection that was given back does nothing`() async throws {
        try await lent { connection in
            connection.end()
            try expectError("55000") { _ = try connection.rows("SELECT 1") }
        }
    }

    @Test func `a constraint that is checked at the commit is checked when the work has returned`() async throws {
        try await lent { connection in
            try connection.execute("CREATE TEMPORARY TABLE parts (number bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
            try connection.execute("INSERT INTO parts VALUES (1), (1)")
            try expectError("23505") { try connection.settle() }
        }
    }

    @Test func `two statements in one text are refused by the server`() async throws {
        try await lent { connection in
            try expectError("42601") { _ = try connection.execute("SELECT 1; SELECT 2") }
        }
    }

    @Test func `a text with a NUL is refused, and everything else with it`() async throws {
        try await lent { connection in
            try expectError("22021") { _ = try connection.rows("SELECT $1::text", "a\u{0}b") }
        }
    }

    // MARK: Through the store

    @Test func `work whose commit was lost on the way is found to be durable, and not done again`() async throws {
        try await transacting(.losingCommits) { scene in
            let lost = try await storeError { try await scene.transact("once") }
            #expect(lost.kind == "outcome unknown")
            scene.proxy.mode = .passing
            guard case .committed = try await scene.transact("twice", earlier: scene.advance) else { throw NothingThrown() }
            #expect(try await scene.harness.written() == ["once"])
        }
    }

    @Test func `work whose commit the server has not heard of yet is waited for, and not done again`() async throws {
        try await transacting(.holdingCommits) { scene in
            let lost = try await storeError { try await scene.transact("once") }
            #expect(lost.kind == "outcome unknown")
            scene.proxy.mode = .passing
            async let result = scene.transact("twice", earlier: scene.advance)
            try await scene.harness.database.untilSomebodyWaitsForALock()
            scene.proxy.letCommitThrough()
            guard case .committed = try await result else { throw NothingThrown() }
            #expect(try await scene.harness.written() == ["once"])
        }
    }

    @Test func `work that breaks a deferred constraint is taken back, and others go on`() async throws {
        try await transacting(.passing) { scene in
            let result = try await scene.transact("a") { connection in
                try connection.execute("CREATE TABLE parts (number bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
                try connection.execute("INSERT INTO parts VALUES (1), (1)")
            }
            guard case .rolledBack(let reason?, let isRetryable) = result else { throw NothingThrown() }
            #expect(reason.contains("23505") && !isRetryable)
            guard case .committed = try await scene.transact("b") else { throw NothingThrown() }
            #expect(try await scene.harness.written() == ["b"])
        }
    }

    @Test func `an error that the work has caught is the error of the step`() async throws {
        try await transacting(.passing) { scene in
            let result = try await scene.transact("a") { connection in
                try connection.execute("CREATE TABLE parts (number bigint PRIMARY KEY)")
                for _ in 1...2 { _ = try? connection.execute("INSERT INTO parts VALUES (1)") }
            }
            guard case .rolledBack(nil, _) = result else { throw NothingThrown() }
            let caught = try await scene.transact("b", alsoAfter: true) { connection in
                try connection.execute("CREATE TABLE parts (number bigint PRIMARY KEY)")
                for _ in 1...2 { _ = try? connection.execute("INSERT INTO parts VALUES (1)") }
            }
            guard case .rolledBack(let reason?, isRetryable: false) = caught else { throw NothingThrown() }
            #expect(reason.contains("23505"))
        }
    }

    @Test func `a temporary table of the name of a type does not get into the way of the event`() async throws {
        try await transacting(.passing) { scene in
            let result = try await scene.transact("a", alsoAfter: true) { connection in
                for name in ["text", "uuid", "bytea"] { try connection.execute("CREATE TEMPORARY TABLE \(name) (number bigint)") }
            }
            guard case .committed = result else { throw NothingThrown() }
        }
    }

    @Test func `what the work of one step sets and locks is not there for the next`() async throws {
        try await transacting(.passing) { scene in
            guard
                case .withdrawn = try await scene.transact(
                    "a", isWanted: false,
                    also: { connection in
                        _ = try connection.rows(
                            "SELECT set_config('lock_timeout', '1ms', false), set_config('perdure_test.a', 'b', false)")
                        _ = try connection.rows("SELECT pg_advisory_lock(4711)")
                        _ = try connection.rows("SELECT set_config('client_encoding', 'LATIN1', false)")
                        try connection.execute("CREATE TEMPORARY TABLE mine (number bigint)")
                    })
            else { throw NothingThrown() }
            let observer = try scene.harness.database.connect()
            #expect(try await observer.perform { try !$0.exists(Self.anyAdvisoryLock) })
            let result = try await scene.transact("b") { connection in
                let row = try connection.rows(
                    """
                    SELECT current_setting('lock_timeout'), coalesce(current_setting('perdure_test.a', true), ''), to_regclass('pg_temp.mine'),
                        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
                    """
                ).first
                #expect(row?.values == [.text("0"), .text(""), .null, .integer(0)])
            }
            guard case .committed = result else { throw NothingThrown() }
        }
    }

    private static let anyAdvisoryLock = SQL(
        "SELECT 1 FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory' AND datname = current_database()")
    /// A run whose next event records what is written.
    private struct Scene {
        let harness: PostgresHarness
        let store: PostgresStore
        let proxy: Proxy
        let advance: RunAdvance

        func transact(
            _ text: String, earlier: RunAdvance? = nil, isWanted: Bool = true, alsoAfter: Bool = false,
            also work: @escaping @Sendable (PostgresTransaction) throws -> Void = { _ in }
        ) async throws(StoreError) -> TransactionResult {
            try await store.transact(
                StoreTransaction(limit: .seconds(60), earlier: earlier) { [harness] connection in
                    guard let connection = connection as? PostgresTransaction else { throw NothingThrown() }
                    if !alsoAfter { try work(connection) }
                    try harness.write(text, with: connection)
                    if alsoAfter { try work(connection) }
                    return Array(text.utf8)
                } record: { [advance] _ in
                    isWanted ? advance : nil
                })
        }
    }

    private func transacting(_ mode: Proxy.Mode, _ body: (Scene) async throws -> Void) async throws {
        let harness = try await PostgresHarness(), node = NodeID(rawValue: "node-1")
        let proxy = try Proxy()
        defer { proxy.stop() }
        let store = try await harness.open(.engine, through: proxy) { $0.transactors = 1 }
        try await store.register(NodeRegistration(id: node, build: "b1", host: "host", processID: 1, hosted: []))
        var run = SampleRun(owner: node)
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        let advance = run.advance([EventDraft(.stepSucceeded, subject: "a", output: .inline(Array("1".utf8)))])
        proxy.mode = mode
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(Scene(harness: harness, store: store, proxy: proxy, advance: advance)))
        } catch {
            result = .failure(error)
        }
        #expect(try await store.audit() == [])
        await store.close()
        await harness.remove()
        try result.get()
    }

    // MARK: On a connection

    private struct TakenBack: Error {}

    /// Lends a connection in a transaction that comes to nothing.
    private func lent(_ body: @escaping @Sendable (PostgresTransaction) throws -> Void) async throws {
        try await Connection(toTestServer: ()).perform { session in
            do {
                try session.transaction {
                    try session.run("SELECT 1")
                    try body(PostgresTransaction(session, limit: .seconds(60)))
                    throw TakenBack()
                }
            } catch is TakenBack {}
        }
    }

    private func expectError(_ sqlState: String, _ body: () throws -> Void) throws {
        let error = try thrownError(body)
        #expect(error.sqlState == sqlState)
    }

    private func thrownError<Result>(_ body: () throws -> Result) throws -> PostgresError {
        do {
            _ = try body()
        } catch let error as PostgresError {
            return error
        }
        throw NothingThrown()
    }
}
