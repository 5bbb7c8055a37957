import Dispatch
import Perdure
import PerdureHistory
import PerdureProcess
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What happens between processes that share a database, where a store for one process has nothing to fear.
struct SharingTests {
    private static let node = NodeID(rawValue: "node-1")
    private static let heir = NodeID(rawValue: "node-2")

    @Test func `a message whose transaction ends late is told, though later ones were told before`() async throws {
        try await withStore { store, harness in
            let first = try await owned(store), second = try await owned(store)
            let insert = """
                INSERT INTO perdure.inbox (run, delivery_id, at, kind, name, sender)
                VALUES (\(first), 'late', 1, 'signal', 'go', '\(Sample.person.storedText)')
                """
            let late = try await harness.database.hold(insert)
            let run = try #require(try await store.run(number: second)).id
            _ = try await store.commit([
                .deliver(Delivery(to: run, id: "early", kind: .signal, name: "go", sender: Sample.person))
            ])
            let before = try await store.inbox(ownedBy: Self.node, after: 0, limit: 10).rows
            try await late.commit()
            let after = try await store.inbox(ownedBy: Self.node, after: before.last?.number ?? 0, limit: 10).rows
            let rest = try await store.inbox(ownedBy: Self.node, after: before.last?.number ?? 0, limit: 10).rows
            #expect(before.map(\.delivery.id) == ["early"] && after.map(\.delivery.id) == ["late"] && rest.isEmpty)
        }
    }

    @Test func `the runs of a node that no row names are taken over`() async throws {
        try await withStore { store, harness in
            let run = try await owned(store)
            try await harness.database.connect().perform { try $0.run("DELETE FROM perdure.nodes") }
            let other = try await harness.open(.engine)
            try await other.register(registration(Self.heir))
            let claimed = try await other.claim(ClaimRequest(node: Self.heir, build: "b1", hosted: hosted, limit: 9)).runs
            #expect(claimed.map(\.record.number) == [run] && claimed.allSatisfy(\.isTakeover))
            await other.close()
        }
    }

    @Test func `a node that is frozen in the middle of a commit does not hold its locks for ever`() async throws {
        try await withStore { store, harness in
            let number = try await owned(store), gate = DispatchSemaphore(value: 0)
            let run = try #require(try await store.run(number: number)).id
            let locked = AsyncStream.makeStream(of: Void.self)
            let writer = try #require(store as? PostgresStore).writer
            let frozen = Task {
                try await writer.perform { session in
                    try session.transaction {
                        try session.run("SELECT 1 FROM perdure.runs FOR UPDATE")
                        locked.continuation.yield()
                        gate.wait()
                    }
                }
            }
            for await _ in locked.stream { break }
            let other = try await harness.open(.engine)
            let message = Delivery(to: run, id: "m", kind: .signal, name: "go", sender: Sample.person)
            while true {
                do throws(StoreError) {
                    _ = try await other.commit([.deliver(message)])
                    break
                } catch {
                    guard case .unavailable = error else { throw error }
                }
            }
            gate.signal()
            await #expect(throws: StoreError.self) { try await frozen.value }
            #expect(try await other.inbox(run: number).map(\.delivery.id) == ["m"])
            await other.close()
        }
    }

    @Test func `a claim whose commit was lost on the way is repeated before the server has heard of it, and owns what it said`()
        async throws
    {
        let harness = try await PostgresHarness()
        let proxy = try Proxy()
        defer { proxy.stop() }
        let store = try await harness.open(.engine, through: proxy) { _ in }
        try await store.register(registration(Self.node))
        guard case .created(let record)? = try await store.commit([SampleRun().creation]).first else { throw NothingThrown() }
        let request = ClaimRequest(node: Self.node, build: "b1", hosted: hosted, limit: 9)
        proxy.mode = .holdingCommits
        #expect(try await storeError { try await store.claim(request) }.kind == "outcome unknown")
        proxy.mode = .passing
        async let repeated = store.claim(request)
        try await harness.database.untilSomebodyWaitsForALock()
        proxy.letCommitThrough()
        let claimed = try await repeated.runs
        #expect(claimed.map(\.record.number) == [record.number] && claimed.map(\.record.epoch) == [record.epoch + 1])
        #expect(try await store.run(number: record.number)?.owner == Self.node)
        #expect(try await store.audit() == [])
        await store.close()
        await harness.remove()
    }

    @Test func `a run that is advanced twice in one commit is, and so are those around it`() async throws {
        try await withStore { store, _ in
            var first = SampleRun(owner: Self.node), second = SampleRun(owner: Self.node)
            for result in try await store.commit([first.creation, second.creation]) {
                guard case .created(let record) = result else { throw NothingThrown() }
                if record.id == first.record.id { first.record = record } else { second.record = record }
            }
            let drafts = ["a", "b", "c"].map { EventDraft(.stepSucceeded, subject: $0, output: .inline(Array("1".utf8))) }
            let items: [CommitItem] = [
                .advance(first.advance([drafts[0]])), .advance(second.advance([drafts[0]])), .advance(first.advance([drafts[1]])),
                .advance(second.advance([drafts[1]])), .advance(first.advance([drafts[2]])),
            ]
            for result in try await store.commit(items) {
                guard case .advanced = result else { throw NothingThrown() }
            }
            #expect(try await store.events(of: first.number, after: 0, limit: 9) == first.events)
            #expect(try await store.events(of: second.number, after: 0, limit: 9) == second.events)
        }
    }

    @Test func `a commit that is too large for one transaction is cut, in its order`() async throws {
        let big = SaltedDigest.plain([1])
        func run(_ megabytes: Int64) -> CommitItem {
            var run = SampleRun(owner: Self.node)
            run.append(EventDraft(.stepSucceeded, subject: "a", output: .spilled(digest: big, size: megabytes << 20)))
            return run.creation
        }
        let sizes: [Int64] = [30, 30, 30, 200, 1, 1]
        let parts = Committer(node: nil, time: nil, hasQuotas: QuotaNotice()).parts(of: sizes.map(run))
        #expect(parts.map(\.indices) == [0..<2, 2..<3, 3..<4, 4..<6])
        #expect(Committer(node: nil, time: nil, hasQuotas: QuotaNotice()).parts(of: [run(200)]).map(\.indices) == [0..<1])
    }

    @Test func `of several engines that open an empty database at once, one makes the store`() async throws {
        let harness = try await PostgresHarness()
        let identities = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let store = try await harness.open(.engine)
                    let identity = store.identity
                    await store.close()
                    return identity
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(identities.count == 1)
        await harness.remove()
    }

    // MARK: Scenery

    private let hosted: [ClaimRequest.Hosted] = [.init(workflow: "greeting", version: "1")]

    private func registration(_ node: NodeID) -> NodeRegistration {
        NodeRegistration(id: node, build: "b1", host: "host", processID: 1, hosted: hosted)
    }

    private func owned(_ store: any Store) async throws -> Int64 {
        guard case .created(let record)? = try await store.commit([SampleRun(owner: Self.node).creation]).first else {
            throw NothingThrown()
        }
        return record.number
    }

    private func withStore(_ body: (any Store, PostgresHarness) async throws -> Void) async throws {
        let harness = try await PostgresHarness(), store = try await harness.open(.engine)
        try await store.register(registration(Self.node))
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(store, harness))
        } catch {
            result = .failure(error)
        }
        await store.close()
        await harness.remove()
        try result.get()
    }
}
