import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// Tests of two nodes on one store.
protocol TwoNodeTests {}

extension TwoNodeTests {
    static var first: NodeID { NodeID(rawValue: "node-1") }
    static var second: NodeID { NodeID(rawValue: "node-2") }

    static func registration(_ node: NodeID) -> NodeRegistration {
        NodeRegistration(id: node, build: "b1", host: "host", processID: 1, hosted: [.init(workflow: "greeting", version: "1")])
    }

    static func request(_ node: NodeID) -> ClaimRequest {
        let own = registration(node)
        return ClaimRequest(node: node, build: own.build, hosted: own.hosted, limit: 10)
    }

    func withNodes(_ body: (PostgresStore, PostgresStore, PostgresHarness) async throws -> Void) async throws {
        let harness = try await PostgresHarness()
        let one = try await harness.open(.engine) { _ in }, two = try await harness.open(.engine) { _ in }
        let result: Result<Void, any Error>
        do {
            try await one.register(Self.registration(Self.first))
            try await two.register(Self.registration(Self.second))
            result = .success(try await body(one, two, harness))
        } catch {
            result = .failure(error)
        }
        await one.close()
        await two.close()
        await harness.remove()
        try result.get()
    }

    /// A run that has begun and belongs to a node.
    func owned(_ store: PostgresStore, as node: NodeID = first, at time: Timestamp = Sample.start) async throws -> SampleRun {
        var run = SampleRun(owner: node, at: time)
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        return run
    }

    // MARK: Histories that go back

    /// What has changed stands there when the processes come back, whose connections end.
    func goBack(_ harness: PostgresHarness, _ script: String = "SELECT 1") async throws {
        let cut = """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            """
        try await harness.database.connect().perform { session in
            try session.run(script)
            try session.run(cut)
        }
    }

    /// As if the server were another one, on which this node has not looked yet.
    func pretendRestart(_ harness: PostgresHarness, of node: NodeID) async throws {
        try await harness.database.connect().perform { try $0.run("UPDATE perdure.nodes SET server = 1 WHERE id = '\(node)'") }
    }

    func recover(_ store: PostgresStore) async throws {
        let begun = try await store.beginRestoration(by: "somebody", reason: "why")
        _ = try await store.markRestored(begun.number, limit: 10, by: Sample.person)
    }

    func expectRestored(_ body: () async throws(StoreError) -> some Any) async throws {
        do throws(StoreError) {
            _ = try await body()
            Issue.record("nothing was noticed")
        } catch {
            guard case .unusable(.storeRestored, _) = error else { throw error }
        }
    }

    func expectLeaseLost(_ body: () async throws(StoreError) -> some Any) async {
        do throws(StoreError) {
            _ = try await body()
            Issue.record("it lives on")
        } catch {
            guard case .leaseLost = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
