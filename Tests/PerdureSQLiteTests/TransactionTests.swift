import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureSQLite

/// What the work of a step may do in the file of the histories, and what it may not.
@Suite(.timeLimit(.minutes(2))) struct TransactionTests {
    /// A store with a run that is owned.
    private struct Place {
        let harness: SQLiteHarness
        let store: any Store
        let run: SampleRun
    }

    private func withStore(
        _ faults: StoreFaults = .none, limit: Duration = .seconds(60), _ body: (Place) async throws -> Void
    ) async throws {
        let harness = try SQLiteHarness(), node = NodeID(rawValue: "node-1")
        let store = try await harness.open(.engine, faults) { $0.transactionLimit = limit }
        try await store.register(NodeRegistration(id: node, build: "b", host: "h", processID: 1))
        let given = SampleRun(owner: node, at: harness.clock.now)
        guard case .created(let record)? = try await store.commit([given.creation]).first else {
            Issue.record("no run")
            return
        }
        var run = given
        run.record = record
        try await body(Place(harness: harness, store: store, run: run))
        #expect(try await store.audit() == [])
        await store.close()
    }

    /// Does the work and has it recorded.
    private func transact(_ place: Place, _ work: @escaping @Sendable (SQLiteTransaction) throws -> Void) async throws
        -> TransactionResult
    {
        var run = place.run
        let advance = run.advance([EventDraft(.stepSucceeded, subject: "a")])
        return try await place.store.transact(
            StoreTransaction(limit: .seconds(60)) { connection in
                try work(try #require(connection as? SQLiteTransaction))
                return []
            } record: { _ in
                advance
            })
    }

    private func isCommitted(_ result: TransactionResult) -> Bool { if case .committed = result { true } else { false } }

    @Test func `tables of one's own are made, written, read and dropped`() async throws {
        try await withStore { place in
            let result = try await transact(place) { connection in
                try connection.execute(
                    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT, share REAL, photo BLOB, events TEXT)")
                try connection.execute("CREATE UNIQUE INDEX accounts_names ON accounts (name)")
                try connection.execute("CREATE TABLE old (x)")
                try connection.execute("DROP TABLE old")
                #expect(
                    try connection.execute(
                        "INSERT INTO accounts (name, share, photo) VALUES (?, ?2, ?)", "Ada", 0.5, Data([1, 2])) == 1)
                #expect(connection.lastInsertedRow == 1)
                try connection.execute("INSERT INTO accounts (name, events) VALUES (?, ?)", nil as String?, "no table of ours")
                let rows = try connection.rows("SELECT * FROM accounts WHERE id >= ? ORDER BY id", 1)
                try #require(rows.count == 2)
                #expect(rows[0]["name"] == .text("Ada") && rows[0]["share"].real == 0.5)
                #expect(rows[0]["photo"].blob == Data([1, 2]) && rows[1][1].isNull && rows[1]["none"] == .null)
                #expect(try connection.rows("SELECT count(*) FROM accounts").first?[0].integer == 2)
            }
            #expect(isCommitted(result))
        }
    }

    @Test(arguments: [
        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "PRAGMA synchronous = OFF", "PRAGMA user_version", "ATTACH 'x.db' AS x",
        "SELECT * FROM runs", "SELECT * FROM Events", "UPDATE runs SET state = 'completed'", "DELETE FROM inbox",
        "INSERT INTO meta VALUES ('a', 'b')", "DROP TABLE labels", "DROP INDEX runs_keys", "ALTER TABLE nodes ADD COLUMN x",
        "CREATE INDEX mine ON events (kind)", "CREATE TRIGGER mine AFTER INSERT ON events BEGIN SELECT 1; END",
        "CREATE TEMP TABLE events (x)", "CREATE TEMP VIEW runs AS SELECT 1", "CREATE TABLE perdure_mine (x)", "ANALYZE",
        "CREATE VIRTUAL TABLE found USING fts5(x)", "ALTER TABLE mine RENAME TO yours",
        "ALTER TABLE mine RENAME COLUMN x TO y",
        "UPDATE sqlite_sequence SET seq = 0", "SELECT * FROM pragma_table_info('runs')", "CREATE VIEW v AS SELECT 1; DROP VIEW v",
        "",
        "VACUUM",
    ])
    func `transaction control and the store's own tables are refused`(_ sql: String) async throws {
        try await withStore { place in
            let seen = Mutex<SQLiteError?>(nil)
            let result = try await transact(place) { connection in
                try connection.execute("CREATE TABLE mine (x)")
                do {
                    _ = try connection.rows(sql)
                } catch let error as SQLiteError {
                    seen.withLock { $0 = error }
                    throw error
                }
            }
            guard case .rolledBack(nil, _) = result else {
                Issue.record("\(sql) gave \(result)")
                return
            }
            let error = try #require(seen.withLock { $0 })
            #expect(error.isDefinite && !error.isRetryable, "\(error)")
            #expect(try await place.store.events(of: place.run.number, after: 0, limit: 10).count == 1)
        }
    }

    @Test func `a view over the store's tables shows nothing, and a trigger writes nothing`() async throws {
        try await withStore { place in
            let result = try await transact(place) { connection in
                try connection.execute("CREATE TABLE mine (x)")
                try connection.execute("CREATE VIEW peek AS SELECT * FROM runs")
                #expect(throws: SQLiteError.self) { try connection.rows("SELECT * FROM peek") }
                try connection.execute("CREATE TRIGGER mine_too AFTER INSERT ON mine BEGIN DELETE FROM events; END")
                #expect(throws: SQLiteError.self) { try connection.execute("INSERT INTO mine VALUES (1)") }
                try connection.execute("DROP TRIGGER mine_too")
                try connection.execute("DROP VIEW peek")
            }
            #expect(isCommitted(result))
        }
    }

    @Test func `a statement that changes no row counts none`() async throws {
        try await withStore { place in
            let result = try await transact(place) { connection in
                try connection.execute("CREATE TABLE mine (x)")
                #expect(try connection.execute("INSERT INTO mine VALUES (1), (2), (3)") == 3)
                #expect(try connection.execute("ALTER TABLE mine ADD COLUMN y") == 0)
                #expect(try connection.execute("CREATE TABLE yours (x)") == 0)
                #expect(try connection.execute("UPDATE mine SET x = 4 WHERE x IN (2, 3)") == 2)
                #expect(try connection.execute("DROP TABLE yours") == 0)
            }
            #expect(isCommitted(result))
        }
    }

    @Test func `an error that is caught leaves what went before and comes after`() async throws {
        try await withStore { place in
            let result = try await transact(place) { connection in
                try connection.execute("CREATE TABLE notes (text TEXT NOT NULL UNIQUE)")
                try connection.execute("INSERT INTO notes VALUES ('a')")
                let error = #expect(throws: SQLiteError.self) { try connection.execute("INSERT INTO notes VALUES ('a')") }
                #expect(error?.isRetryable == false)
                try connection.execute("INSERT INTO notes VALUES ('b')")
            }
            #expect(isCommitted(result))
            #expect(try await place.harness.written() == ["a", "b"])
        }
    }

    @Test func `a transaction that SQLite has taken back is not gone on with, even if the error is caught`() async throws {
        try await withStore { place in
            let result = try await transact(place) { connection in
                try connection.execute("CREATE TABLE notes (text TEXT NOT NULL UNIQUE)")
                try connection.execute("INSERT INTO notes VALUES ('a')")
                _ = try? connection.execute("INSERT OR ROLLBACK INTO notes VALUES ('a')")
                // Outside of any transaction this would stay.
                _ = try? connection.execute("CREATE TABLE notes (text TEXT)")
            }
            guard case .rolledBack = result else { throw StoreError.unavailable("\(result)") }
            #expect(try await place.harness.written() == [])
            #expect(try await place.store.events(of: place.run.number, after: 0, limit: 10).count == 1)
        }
    }

    @Test func `work that takes too long is stopped and taken back`() async throws {
        try await withStore(limit: .milliseconds(50)) { place in
            let seen = Mutex<SQLiteError?>(nil)
            let result = try await transact(place) { connection in
                do {
                    // Has no end.
                    _ = try connection.rows(
                        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
                } catch let error as SQLiteError {
                    seen.withLock { $0 = error }
                    throw error
                }
            }
            guard case .rolledBack = result else { throw StoreError.unavailable("\(result)") }
            #expect(seen.withLock { $0 }?.message == SQLiteError.late)
        }
    }

    @Test func `work that has used up its time outside of SQL is taken back too`() async throws {
        try await withStore(limit: .zero) { place in
            guard case .rolledBack(let reason?, _) = try await transact(place, { _ in }) else {
                Issue.record("it was not taken back")
                return
            }
            #expect(reason.contains(SQLiteError.late))
        }
    }

    @Test func `a connection that was kept is of no use after its call`() async throws {
        try await withStore { place in
            nonisolated(unsafe) var kept: SQLiteTransaction?
            _ = try await transact(place) { kept = $0 }
            let error = #expect(throws: SQLiteError.self) { try kept?.execute("CREATE TABLE mine (x)") }
            #expect(error?.message.contains("is over") == true)
        }
    }

    @Test func `a commit that fails takes the work back, and one whose answer is lost does not`() async throws {
        for point in [StoreFaults.Point.beforeTransaction, .beforeCommit, .afterCommit] {
            let isArmed = Mutex(false)
            let faults = StoreFaults { passed in
                if passed == point, isArmed.withLock({ $0 }) { throw StoreError.outcomeUnknown("by plan") }
            }
            try await withStore(faults) { (place: Place) async throws -> Void in
                isArmed.withLock { $0 = true }
                await #expect(throws: StoreError.self) {
                    try await transact(place) { try place.harness.write("a", with: $0) }
                }
                isArmed.withLock { $0 = false }
                let isThere = point == .afterCommit
                #expect(try await place.harness.written() == (isThere ? ["a"] : []), "\(point)")
                #expect(try await place.store.events(of: place.run.number, after: 0, limit: 10).count == (isThere ? 2 : 1))
            }
        }
    }

    @Test func `a client of the file does no work`() async throws {
        try await withStore { place in
            let client = try await place.harness.open(.client)
            await #expect(throws: StoreError.self) {
                try await client.transact(StoreTransaction(limit: .seconds(1), work: { _ in [] }, record: { _ in nil }))
            }
            await client.close()
        }
    }
}
