import Foundation
import Perdure
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Testing

/// What an engine asks of its store, call by call, and what is in the file after each of them.
struct StoreStory: Sendable {
    typealias Step = @Sendable (any Store, FaultyDisk) async throws -> Void

    /// What the file holds before the first step, the opening, and after each.
    let states: [String]
    let steps: [Step]
    /// What reached the disk, with a note after each step.
    let log: [DiskEntry]
    /// The files after nothing but an opening and an orderly end.
    let empty: [String: [UInt8]]

    struct CannotGoOn: Error { let answer: String }

    private static let hosted = [ClaimRequest.Hosted(workflow: "greeting", version: "1")]

    private static func node(_ number: Int32) -> NodeRegistration {
        NodeRegistration(id: NodeID(rawValue: "node-\(number)"), build: "b1", host: "host", processID: number)
    }

    private static func open(_ disk: FaultyDisk, _ role: StoreConfiguration.Role = .engine) async throws -> any Store {
        try await StoreConfiguration.sqlite(disk.path) { Sample.start }.open(role)
    }

    /// Plays the story on a disk that does not fail.
    static func undisturbed(lies: Bool = false) async throws -> StoreStory {
        let disk = try FaultyDisk(), steps = script()
        disk.lies = lies
        defer { disk.remove() }
        await (try await open(disk)).close()
        let empty = try disk.files()
        disk.note("1")
        var states = ["", try contents(disk)]
        let store = try await open(disk)
        for step in steps {
            try await step(store, disk)
            states.append(try contents(disk))
            disk.note("\(states.count - 1)")
        }
        await store.close()
        #expect(try contents(disk) == states.last)
        return StoreStory(states: states, steps: steps, log: disk.log, empty: empty)
    }

    /// The step of this number, of which the first opens the store.
    func perform(_ index: Int, _ store: (any Store)?, _ disk: FaultyDisk) async throws -> any Store {
        guard index > 0, let store else { return try await Self.open(disk) }
        try await steps[index - 1](store, disk)
        return store
    }

    // MARK: What has to be there

    /// What is wrong with what a disk holds after a power cut.
    /// - Parameter confirmed: how many of the states were told to somebody outside.
    func breach(_ contents: String, confirmed: Int) -> String? {
        // A checkpoint changes nothing that can be seen, so that several states are the same.
        guard let found = states.indices.last(where: { states[$0] == contents && $0 <= confirmed + 1 }) else {
            return "step \(confirmed) was confirmed, and what is there was never in the file"
        }
        return found >= confirmed ? nil : "step \(confirmed) was confirmed and is not there"
    }

    // MARK: The calls

    /// Two runs: one that is advanced in several ways, one that is claimed and closed.
    private static func script() -> [Step] {
        let node = node(1)
        var first = SampleRun(key: "first", owner: node.id), second = SampleRun(key: "second")
        first.record.number = 1
        second.record.number = 2
        let creations = [first.creation, second.creation]
        let small = first.advance((1...3).map { EventDraft(.stepSucceeded, subject: "\($0)", output: .inline(Array("1".utf8))) })
        let delivery = Delivery(
            to: first.record.id, id: "d", kind: .signal, name: "go", payload: Array("1".utf8), sender: Sample.person)
        let large = EventDraft(
            .stepSucceeded, subject: "large", output: .inline(Array("\"\(String(repeating: "x", count: 70_000))\"".utf8)))
        let taking = first.advance([EventDraft(.signalReceived, subject: "go"), large], consuming: [1])
        let transacted = first.advance([EventDraft(.stepSucceeded, subject: "transacted")])
        second.record.epoch = 1
        let claim = ClaimRequest(node: node.id, build: "b1", hosted: hosted, limit: 1)
        let closing = second.advance([EventDraft(.runCompleted)], to: RunTransition(to: .completed))
        let resting = first.advance([], to: RunTransition(to: .waiting, wakeAt: Sample.start + .days(1)))
        return [
            { store, _ in try await store.register(node) },
            { store, _ in try await commit(creations, to: store) },
            { store, _ in try await commit([.advance(small)], to: store) },
            { store, _ in
                try await commit(
                    [.deliver(delivery), .beat(Heartbeat(run: 1, epoch: 1, subject: "large", details: Array("1".utf8)))],
                    to: store)
            },
            { store, _ in try await commit([.advance(taking)], to: store) },
            { _, disk in try checkpoint(disk) },
            { store, _ in try await transact(transacted, in: store) },
            { store, _ in
                let runs = try await store.claim(claim).runs
                guard runs.map(\.record.number) == [2] else { throw CannotGoOn(answer: "\(runs)") }
            },
            { store, _ in try await commit([.advance(closing), .advance(resting)], to: store) },
            { _, disk in try checkpoint(disk) },
            { store, _ in
                let problems = try await store.audit()
                guard problems == [] else { throw CannotGoOn(answer: "\(problems)") }
            },
            { store, _ in try await store.unregister(node.id) },
        ]
    }

    private static func commit(_ items: [CommitItem], to store: any Store) async throws {
        for result in try await store.commit(items) {
            switch result {
            case .created, .advanced, .delivered, .scheduled: continue
            case .keyTaken, .refused: throw CannotGoOn(answer: "\(result)")
            }
        }
    }

    private static func transact(_ advance: RunAdvance, in store: any Store) async throws {
        let transaction = StoreTransaction(limit: .seconds(60), earlier: advance) { connection in
            guard let connection = connection as? SQLiteTransaction else { throw CannotGoOn(answer: "no connection") }
            try connection.execute("CREATE TABLE notes (text TEXT)")
            try connection.execute("INSERT INTO notes VALUES ('written')")
            return []
        } record: { _ in
            advance
        }
        let result = try await store.transact(transaction)
        guard case .committed = result else { throw CannotGoOn(answer: "\(result)") }
    }

    /// Another process empties the log into the file, so that the next commit begins the log anew.
    private static func checkpoint(_ disk: FaultyDisk) throws {
        // It is nobody's promise: whatever comes of it, nothing may be lost.
        _ = try? Inspector(disk.path).all("PRAGMA wal_checkpoint(PASSIVE)")
    }

    // MARK: What is there

    /// Everything that the file holds, but for its own name.
    static func contents(_ disk: FaultyDisk) throws -> String {
        guard FileManager.default.fileExists(atPath: disk.path) else { return "" }
        let inspector = try Inspector(disk.path)
        let queries = try inspector.all(
            """
            SELECT 'SELECT ' || group_concat('quote("' || c.name || '")', ' || '', '' || ') || ' AS line FROM "' || t.name || '" ORDER BY line'
            FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'meta' GROUP BY t.name ORDER BY t.name
            """)
        return try queries.map { ([$0] + (try inspector.all($0))).joined(separator: "\n") }.joined(separator: "\n")
    }

    /// The next process takes over what is there and brings every run to its end.
    static func goOn(_ disk: FaultyDisk) async throws {
        let store = try await open(disk), node = node(2)
        try await store.register(node)
        _ = try await store.commit([SampleRun(key: "next").creation])
        let claimed = try await store.claim(
            ClaimRequest(node: node.id, build: "b1", hosted: hosted, limit: 10, ahead: .days(2))
        ).runs
        for claim in claimed {
            var run = SampleRun()
            run.take(over: claim)
            let unread = try await store.inbox(run: run.number).map(\.number)
            try await commit(
                [.advance(run.advance([EventDraft(.runCompleted)], to: RunTransition(to: .completed), consuming: unread))],
                to: store)
        }
        #expect(!claimed.isEmpty)
        #expect(try await store.audit() == [])
        for record in try await store.runs(RunFilter(limit: 10)) {
            #expect(record.state == .completed)
            let id = record.id.description
            try EventChain.verify(
                try await store.events(of: record.number, after: 0, limit: 100), run: id,
                from: .start(namespace: record.namespace, run: id))
        }
        await store.close()
    }

    /// What the next process does with a file that was left as it is: the story of a store that has only been opened, and of a commit or
    /// two.
    /// - Returns: nil if it refuses the file.
    static func takenOver(_ disk: FaultyDisk, as role: StoreConfiguration.Role) async throws -> StoreStory? {
        let commits: Step = { store, _ in try await commit([SampleRun(key: "next").creation], to: store) }
        let steps: [Step] = role == .client ? [commits] : [{ store, _ in try await store.register(node(2)) }, commits]
        let store: any Store
        do {
            store = try await open(disk, role)
        } catch StoreError.unusable {
            return nil
        }
        var states = ["", try contents(disk)]
        disk.note("1")
        for step in steps {
            try await step(store, disk)
            states.append(try contents(disk))
            disk.note("\(states.count - 1)")
        }
        let log = disk.log
        await store.close()
        return StoreStory(states: states, steps: steps, log: log, empty: [:])
    }
}
