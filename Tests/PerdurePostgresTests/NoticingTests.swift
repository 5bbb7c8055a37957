import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdurePostgres

/// What of a loss is noticed and by what, and what is not taken for one. Rows are taken out of the tables, and connections cut.
struct NoticingTests {
    private static let first = NodeID(rawValue: "node-1"), second = NodeID(rawValue: "node-2"), third = NodeID(rawValue: "node-3")

    // MARK: Waiting for others

    @Test func `who is waited for is named, and work whose record would have to wait is not begun`() async throws {
        try await withNodes { one, two, harness in
            var run = try await owned(one)
            try await pretendRestart(harness, of: Self.second)
            #expect(try await one.nodes().filter(\.isAwaited).map(\.registration.id) == [Self.second])
            let hasBegun = Mutex(false)
            let advance = run.advance([EventDraft(.statusReported)])
            let transaction = StoreTransaction(limit: .seconds(5)) { _ in
                hasBegun.withLock { $0 = true }
                return []
            } record: { _ in
                advance
            }
            let refusals = [
                try await storeError { try await one.transact(transaction) },
                try await storeError { try await one.commit([.advance(advance)]) },
                try await storeError { try await one.claim(Self.request(Self.first)) },
            ]
            for refusal in refusals {
                #expect(refusal.kind == "awaits nodes" && "\(refusal)".hasSuffix(": node-2"))
            }
            #expect(!hasBegun.withLock { $0 })
            try await goBack(harness)
            try await two.renew(Self.second)
            #expect(try await one.nodes().filter(\.isAwaited).isEmpty)
            guard case .committed = try await one.transact(transaction) else { throw NothingThrown() }
        }
    }

    @Test func `a node that died under a clock that was ahead is waited for one lease, and no longer`() async throws {
        try await withNodes { one, _, harness in
            try await pretendRestart(harness, of: Self.second)
            try await harness.database.connect().perform {
                try $0.run("UPDATE perdure.nodes SET lease_until = lease_until + 600000000 WHERE id = '\(Self.second)'")
            }
            #expect(try await one.nodes().filter(\.isOverdue).map(\.registration.id) == [Self.second])
            var ended: [NodeID] = [], waited = Duration.zero
            while ended.isEmpty, waited < .seconds(60) {
                harness.clock.advance(by: .milliseconds(500))
                waited += .milliseconds(500)
                ended = try await waited.components.seconds % 5 == 0 ? one.renew(Self.first) : one.endLapsed(besides: Self.first)
            }
            #expect(ended == [Self.second] && waited >= .seconds(15) && waited <= .seconds(16))
            _ = try await one.claim(Self.request(Self.first))
        }
    }

    @Test func `that nobody is waited for is found by an index`() async throws {
        try await withNodes { one, _, harness in
            let ask = SQL("EXPLAIN \(Presence.ask.text)")
            let lines = try await one.writer.perform { session in
                try session.all(ask, Timestamp?.none, Self.first) { try $0.text(0) }
            }
            let plan = lines.joined(separator: "\n")
            #expect(plan.contains("nodes_servers") && !plan.contains("Seq Scan on nodes"), "\(plan)")
        }
    }

    @Test func `a node that registers again is on the server on which it does`() async throws {
        try await withNodes { one, _, harness in
            try await pretendRestart(harness, of: Self.first)
            try await one.register(Self.registration(Self.first))
            #expect(try await one.nodes().filter(\.isAwaited).isEmpty)
        }
    }

    // MARK: Tools

    private static let hosted: [ClaimRequest.Hosted] = [.init(workflow: "greeting", version: "1")]

    private static func registration(_ node: NodeID) -> NodeRegistration {
        NodeRegistration(id: node, build: "b1", host: "host", processID: 1, hosted: hosted)
    }

    private static func request(_ node: NodeID) -> ClaimRequest {
        ClaimRequest(node: node, build: "b1", hosted: hosted, limit: 10)
    }

    private func withNodes(_ body: (PostgresStore, PostgresStore, PostgresHarness) async throws -> Void) async throws {
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

    private func owned(_ store: PostgresStore, as node: NodeID = first) async throws -> SampleRun {
        var run = SampleRun(owner: node)
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        return run
    }

    private func transact(_ run: inout SampleRun, on store: PostgresStore) async throws {
        let advance = run.advance([EventDraft(.statusReported)])
        let result = try await store.transact(
            StoreTransaction(limit: .seconds(5)) { _ in
                []
            } record: { _ in
                advance
            })
        guard case .committed = result else { throw NothingThrown() }
    }

    private func recover(_ store: PostgresStore) async throws {
        let begun = try await store.beginRestoration(by: "somebody", reason: "why")
        _ = try await store.markRestored(begun.number, limit: 10, by: Sample.person)
    }

    /// As if the server were another one, on which this node has not looked yet.
    private func pretendRestart(_ harness: PostgresHarness, of node: NodeID) async throws {
        try await harness.database.connect().perform { try $0.run("UPDATE perdure.nodes SET server = 1 WHERE id = '\(node)'") }
    }

    /// What has changed stands there when the processes come back, whose connections end.
    private func goBack(_ harness: PostgresHarness, _ script: String = "SELECT 1") async throws {
        let cut = """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            """
        try await harness.database.connect().perform { session in
            try session.run(script)
            try session.run(cut)
        }
    }

    private func expectOneLifted(_ store: PostgresStore) async throws {
        let last = try await store.restoration()
        #expect(last?.number == 1 && last?.isStanding == false)
    }

    private func expectRestored(_ body: () async throws(StoreError) -> some Any) async throws {
        do throws(StoreError) {
            _ = try await body()
            Issue.record("nothing was noticed")
        } catch {
            guard case .unusable(.storeRestored, _) = error else { throw error }
        }
    }

    private func expectLeaseLost(_ body: () async throws(StoreError) -> some Any) async {
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
