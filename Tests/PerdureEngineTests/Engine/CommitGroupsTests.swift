import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdureEngine

@Suite(.timeLimit(.minutes(5))) struct CommitGroupsTests {
    /// Callers of which the first one's commit is held up until all others wait.
    private static func withCallers(
        _ count: Int, _ fate: @escaping @Sendable (Int) -> StoreFate,
        _ check: ([Result<CommitResult, any Error>], _ sizes: [Int], any Store) async throws -> Void
    ) async throws {
        try await withEngines { harness in
            let base = try await StoreConfiguration.sqlite(harness.path, clock: { harness.clock.now() }).open(.engine)
            let store = WatchedStore(base, pulse: harness.pulse, script: harness.script)
            let groups = CommitGroups(store), sizes = Mutex<[Int]>([]), gate = harness.gate()
            harness.script.set { call in
                guard case .commit(_, let items) = call else { return .apply }
                let number = sizes.withLock { sizes in
                    sizes.append(items.count)
                    return sizes.count
                }
                return number == 1 ? .applyThen { await gate.hang() } : fate(number)
            }
            let first = Task { try await groups.commit(SampleRun().creation) }
            try await harness.until { gate.arrivals == 1 }
            let others = (1..<count).map { _ in Task { try await groups.commit(SampleRun().creation) } }
            while groups.waiting < count - 1 { await Task.yield() }
            gate.open()
            var results = [await first.result]
            for other in others { results.append(await other.result) }
            #expect(groups.waiting == 0)
            harness.script.set { _ in .apply }
            try await check(results, sizes.withLock { $0 }, store)
            // Nobody leads any more, and whoever comes does.
            let last = try await groups.commit(SampleRun().creation)
            #expect(Self.number(last) != nil)
            await store.close()
        }
    }

    private static func number(_ result: CommitResult?) -> Int64? {
        if case .created(let record)? = result { record.number } else { nil }
    }

    @Test func `what comes while a commit is under way goes into the next one, and each caller has its own answer`() async throws
    {
        try await Self.withCallers(40, { _ in .apply }) { results, sizes, store in
            #expect(sizes == [1, 39])
            let numbers = results.compactMap { Self.number(try? $0.get()) }
            #expect(Set(numbers).count == 40)
        }
    }

    @Test func `more than go into one commit go into the one after it`() async throws {
        try await Self.withCallers(1_030, { _ in .apply }) { results, sizes, _ in
            #expect(sizes == [1, 513, 513, 3])
            #expect(results.allSatisfy { (try? $0.get()) != nil })
        }
    }

    @Test func `a commit that fails is told to all who were in it, and to nobody else`() async throws {
        try await Self.withCallers(600, { $0 == 2 ? .fail(.unavailable("away")) : .apply }) { results, sizes, _ in
            #expect(sizes == [1, 513, 86])
            #expect(results.count { (try? $0.get()) == nil } == 513)
            #expect((try? results[0].get()) != nil)
        }
    }
}
