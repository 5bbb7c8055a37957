import Perdure
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

struct DatabaseTests {
    private static let node = NodeRegistration(
        id: NodeID(rawValue: "node-1"), build: "b1", host: "host", processID: 1,
        hosted: [.init(workflow: "greeting", version: "1")])

    private static func request(_ node: NodeID = node.id) -> ClaimRequest {
        ClaimRequest(node: node, build: "b1", hosted: Self.node.hosted, limit: 10)
    }

    private static func database(_ clock: ManualClock = ManualClock()) -> MemoryDatabase {
        MemoryDatabase { clock.now }
    }

    @Test("A closed store only throws, and what it has stored is there for the next one")
    func closed() async throws {
        let database = Self.database()
        let store = try database.open(.engine)
        try await store.register(Self.node)
        let run = SampleRun(owner: Self.node.id)
        _ = try store.commitHere([run.creation])
        await store.close()
        #expect(throws: StoreError.self) { try store.commitHere([SampleRun().creation]) }
        await #expect(throws: StoreError.self) { try await store.run(run.record.id) }
        await #expect(throws: StoreError.self) { try await store.claim(Self.request()) }
        await #expect(throws: StoreError.self) { try await store.renew(Self.node.id) }
        let next = try database.open(.client)
        #expect(try await next.run(run.record.id)?.state == .running)
    }

    @Test("An engine that is given up without being closed makes room for the next one")
    func givenUp() throws {
        let database = Self.database()
        do { _ = try database.open(.engine) }
        _ = try database.open(.engine)
    }

    @Test("What a step would do in a transaction is refused")
    func noTransactions() async throws {
        let store = try Self.database().open(.engine)
        #expect(store.transactions == nil)
        let transaction = StoreTransaction(limit: .seconds(1), work: { _ in [] }, record: { _ in nil })
        await #expect(throws: StoreError.self) { try await store.transact(transaction) }
    }

    @Test("A commit is done on the calling thread, and others have heard of it when it returns")
    func synchronous() throws {
        let database = Self.database()
        let store = try database.open(.engine), client = try database.open(.client)
        let heard = Mutex<[String]>([])
        let first = store.onOutsideDelivery { heard.withLock { $0.append("first") } }
        store.onOutsideDelivery { heard.withLock { $0.append("second") } }
        client.onOutsideDelivery { heard.withLock { $0.append("itself") } }
        let results = try client.commitHere([SampleRun().creation])
        #expect(results.count == 1)
        #expect(heard.withLock { $0 } == ["first", "second"])
        first.end()
        _ = try client.commitHere([SampleRun().creation])
        #expect(heard.withLock { $0 } == ["first", "second", "second"])
        // Nothing has happened.
        _ = try client.commitHere([])
        #expect(heard.withLock { $0 }.count == 3)
    }

    @Test("Ten processes that die in the middle leave one sound history")
    func deaths() async throws {
        let clock = ManualClock(), database = Self.database(clock)
        var run = SampleRun()
        for number in 1...10 {
            let store = try database.open(.engine), node = NodeID(rawValue: "node-\(number)")
            try await store.register(
                NodeRegistration(id: node, build: "b1", host: "host", processID: Int32(number), hosted: Self.node.hosted))
            if number == 1 { _ = try store.commitHere([run.creation]) }
            let claimed = try #require(try await store.claim(Self.request(node)).runs.first)
            #expect(claimed.isTakeover == (number > 1))
            run.take(over: claimed)
            _ = try store.commitHere([.advance(run.advance([EventDraft(.stepSucceeded, subject: "s\(number)")], at: clock.now))])
            clock.advance(by: .seconds(1))
            await store.close()
        }
        let client = try database.open(.client)
        let events = try await client.events(of: run.number, after: 0, limit: 100)
        let start = ChainHead.start(namespace: run.record.namespace, run: run.record.id.description)
        try EventChain.verify(events, run: run.record.id.description, from: start)
        #expect(events.count { $0.kind == .runResumed } == 9 && events.count { $0.kind == .stepSucceeded } == 10)
        #expect(try await client.audit().isEmpty)
    }

    @Test("A process whose own clock runs ahead, or beside a database whose clock jumps, ends nobody", arguments: [true, false])
    func clocks(_ isOwnClockWrong: Bool) async throws {
        let rightTime = ManualClock(), wrongTime = ManualClock()
        let database = MemoryDatabase(ownership: .leases(.seconds(10))) { (isOwnClockWrong ? rightTime : wrongTime).now }
        let store = try database.open(.engine) { rightTime.now }
        let other = try database.open(.engine) { (isOwnClockWrong ? wrongTime : rightTime).now }
        let second = NodeID(rawValue: "node-2")
        try await store.register(Self.node)
        try await other.register(NodeRegistration(id: second, build: "b1", host: "host", processID: 2))
        wrongTime.advance(by: .seconds(3_600))
        #expect(try await other.renew(second).isEmpty)
        for isOver in [false, true] {
            rightTime.advance(by: .seconds(5))
            wrongTime.advance(by: .seconds(5))
            #expect(try await other.renew(second) == (isOver ? [Self.node.id] : []))
        }
    }

    @Test("Keys, ids and names that only look alike are different ones")
    func lookAlikes() async throws {
        let store = try Self.database().open(.engine)
        try await store.register(Self.node)
        let texts = ["\u{e9}", "e\u{301}"]
        for text in texts {
            let run = SampleRun(workflow: text, key: text)
            guard case .created(let record)? = try store.commitHere([run.creation]).first else {
                Issue.record("the key was taken")
                return
            }
            for id in texts {
                let delivery = Delivery(to: record.id, id: id, kind: .signal, sender: Sample.person)
                guard case .delivered(isDuplicate: false)? = try store.commitHere([.deliver(delivery)]).first else {
                    Issue.record("the id was known")
                    return
                }
            }
        }
        #expect(
            try await store.versions(namespace: nil).map(\.workflow).map { Array($0.utf8) }
                == texts.reversed().map { Array($0.utf8) })
    }

    @Test("The same calls come to the same end, down to the order of every answer")
    func deterministic() async throws {
        let ids = (0..<40).map { _ in Sample.runID() }
        var stories: [[String]] = []
        for _ in 0..<2 { stories.append(try await Self.story(ids)) }
        #expect(stories[0] == stories[1] && stories[0].count > 100)
    }

    /// Many runs of several workflows, told by what the store answers.
    private static func story(_ ids: [RunID]) async throws -> [String] {
        let clock = ManualClock(), database = Self.database(clock)
        let store = try database.open(.engine)
        try await store.register(node)
        var told: [String] = []
        var runs = ids.enumerated().map { index, id in
            SampleRun(workflow: index % 3 == 0 ? "farewell" : "greeting", labels: ["n": "\(index % 4)"], id: id)
        }
        for index in runs.indices {
            guard case .created(let record)? = try store.commitHere([runs[index].creation]).first else { return [] }
            runs[index].record = record
        }
        for round in 0..<5 {
            for run in runs where (Int(run.number) + round) % 3 == 0 {
                let delivery = Delivery(to: run.record.id, id: "\(round)", kind: .signal, sender: Sample.person)
                told.append("\(try store.commitHere([.deliver(delivery)]))")
            }
            for claimed in try await store.claim(request()).runs {
                told.append("\(claimed)")
                let index = Int(claimed.record.number) - 1
                runs[index].take(over: claimed)
                let rows = try await store.inbox(run: claimed.record.number).map(\.number)
                let advance = runs[index].advance(
                    [EventDraft(.versionPatched, subject: "p\(round)")], to: .init(to: .waiting, wakeAt: clock.now + .seconds(1)),
                    consuming: rows)
                told.append("\(try store.commitHere([.advance(advance)]))")
            }
            clock.advance(by: .seconds(1))
            told.append("\(try await store.runs(RunFilter(labels: ["n": "2"])))")
            told += try await store.versions(namespace: nil).map { "\($0.workflow) \($0.runs.count)" }
            told += try await store.marked(.versionPatched, nil, in: 2).map(\.subject)
        }
        return told
    }
}
