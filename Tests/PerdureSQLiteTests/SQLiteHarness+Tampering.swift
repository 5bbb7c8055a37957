import Foundation
import GRDB
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureSQLite

extension SQLiteHarness {
    /// Does to the file what another program could do.
    func tamper(_ sql: String...) throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA ignore_check_constraints = ON")
            for statement in sql { try database.execute(sql: statement) }
        }
        try queue.close()
    }

    /// Makes the file what the first release has left, with the runs that it has.
    func goBackToVersion1() throws {
        let columns = """
            number, id, namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at, since, created_at,
            closed_at, note, needs_retry, expired_at, last_seq, last_hash, leftover, origin, origin_salt, origin_digest, successor
            """
        let start = try #require(Schema.version1.range(of: "CREATE TABLE runs"))
        let end = try #require(Schema.version1.range(of: "CREATE TABLE events"))
        try tamper(
            ["runs_begun", "runs_moved", "events_added", "events_removed", "blobs_added", "blobs_removed"]
                .map { "DROP TRIGGER \($0)" }.joined(separator: ";"),
            "CREATE TABLE kept AS SELECT * FROM runs", "DROP TABLE runs",
            String(Schema.version1[start.lowerBound..<end.lowerBound]),
            "INSERT INTO runs (\(columns)) SELECT \(columns) FROM kept",
            "DROP TABLE kept; DROP TABLE schedules; DROP TABLE queues; DROP TABLE places; DROP TABLE queue_keys; DROP TABLE namespaces; DROP TABLE quotas; DROP TABLE restorations; DROP TABLE control",
            "PRAGMA user_version = 1")
    }

    /// What a person sees who asks the file with SQL.
    func ask(_ sql: String) throws -> String? {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.read { try String.fetchOne($0, sql: sql) }
    }

    /// Opens the store with a node, hands it to `body` and closes it.
    func withStore<Result>(
        _ faults: StoreFaults = .none, adjust: (inout SQLiteOptions) -> Void = { _ in },
        _ body: (any Store) async throws -> Result
    ) async throws -> Result {
        let store = try await open(.engine, faults, adjust: adjust)
        do {
            let result = try await body(store)
            await store.close()
            return result
        } catch {
            await store.close()
            throw error
        }
    }

    /// Leaves a file with one run that the node owns, and a few events of it.
    func withOneRun(key: String = "k") async throws -> SampleRun {
        try await withStore { store in
            try await store.register(Self.node)
            var run = SampleRun(key: key, owner: Self.node.id)
            guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            run.record = record
            let drafts = (1...5).map { number in
                EventDraft(.stepSucceeded, subject: "step \(number)", output: .inline(Array("{\"number\":\(number)}".utf8)))
            }
            guard case .advanced = try await store.commit([.advance(run.advance(drafts))]).first else { throw CannotGoOn() }
            return run
        }
    }

    static let node = NodeRegistration(id: NodeID(rawValue: "node-1"), build: "b1", host: "host", processID: 1)
}

struct CannotGoOn: Error {}

/// The error that opening a store gives.
func refusal(_ body: () async throws -> Void) async throws -> StoreError {
    do {
        try await body()
    } catch let error as StoreError {
        return error
    }
    throw CannotGoOn()
}

extension StoreError {
    /// The code that callers of the engine get.
    var code: PerdureError.Code { publicError.code }
}
