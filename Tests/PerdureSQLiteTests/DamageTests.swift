import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdureSQLite

/// Files that somebody or something has changed. They give errors that say what is wrong; they never end the process.
struct DamageTests {
    let harness: SQLiteHarness

    init() throws { harness = try SQLiteHarness() }

    @Test(
        "A row that cannot be is named with its run and place",
        arguments: [
            ("UPDATE events SET hash = x'00' WHERE seq = 3", "event 3 of run number 1: its hash"),
            ("UPDATE events SET codec = -1 WHERE seq = 3", "event 3 of run number 1: its codec -1"),
            ("UPDATE events SET output = 5 WHERE seq = 3", "event 3 of run number 1: column output"),
            ("UPDATE events SET output_size = 5 WHERE seq = 3", "event 3 of run number 1: its large value"),
            ("UPDATE events SET subject = CAST(x'C328' AS TEXT) WHERE seq = 3", "event 3 of run number 1: column subject"),
        ])
    func badEvent(_ change: String, _ message: String) async throws {
        let run = try await harness.withOneRun()
        try harness.tamper(change)
        try await harness.withStore { store in
            let error = try await refusal { _ = try await store.events(of: run.number, after: 0, limit: 10) }
            #expect(error.code == .storeCorrupt && error.description.contains(message), "\(error)")
            #expect(try await store.events(of: run.number, after: 3, limit: 10).count == 3)
        }
    }

    // Promise: 46
    @Test func `a run that cannot be read is told of to its own namespace only`() async throws {
        var run = SampleRun(namespace: "other", owner: SQLiteHarness.node.id)
        let next = SampleRun(namespace: "other", continuing: run)
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            run.record = record
            let end = run.advance([EventDraft(.runContinued)], to: .init(to: .completed), successor: next)
            guard case .advanced = try await store.commit([.advance(end)]).first else { throw CannotGoOn() }
        }
        // As a later release may have left them.
        try harness.tamper("UPDATE runs SET state = 'dreaming'")
        try await harness.withStore { store in
            let shop = ConfinedStore(store, to: "shop"), own = ConfinedStore(store, to: "other")
            #expect(try await shop.run(run.record.id) == nil)
            #expect(try await shop.run(number: run.number) == nil)
            #expect(try await shop.lastOfChain(begunBy: run.record.id) == nil)
            #expect(try await shop.runNumbers(before: nil, limit: 10) == [])
            #expect(try await own.runNumbers(before: nil, limit: 10).count == 2)
            let wait = RunWait(run: run.record.id)
            #expect(try await shop.ended(among: [wait]) == [wait])
            for target in [run.record.id, next.record.id] {
                for kind in [InboxKind.signal, .resolve] {
                    let message = Delivery(to: target, id: "m", kind: kind, name: "s", sender: Sample.person)
                    guard case .refused(.runUnknown)? = try await shop.commit([.deliver(message)]).first else {
                        throw CannotGoOn()
                    }
                    guard case .refused(.invalid)? = try await own.commit([.deliver(message)]).first else { throw CannotGoOn() }
                }
            }
            for look in [
                { _ = try await own.run(run.record.id) }, { _ = try await own.run(number: run.number) },
                { _ = try await own.lastOfChain(begunBy: run.record.id) },
            ] as [() async throws -> Void] {
                let error = try await refusal { try await look() }
                #expect(error.code == .storeCorrupt && error.description.contains("its state 'dreaming'"))
            }
        }
    }

    @Test(
        "An event that only a later release can read is no damage",
        arguments: [
            ("UPDATE events SET kind = 'step.dreamt' WHERE seq = 3", "event 3 of run number 1: its kind 'step.dreamt'"),
            ("UPDATE events SET codec = 99 WHERE seq = 3", "event 3 of run number 1: its codec 99"),
        ])
    func laterEvent(_ change: String, _ message: String) async throws {
        let run = try await harness.withOneRun()
        try harness.tamper(change)
        try await harness.withStore { store in
            let error = try await refusal { _ = try await store.events(of: run.number, after: 0, limit: 10) }
            #expect(error.code == .storeTooNew && error.description.contains(message), "\(error)")
        }
    }

    @Test(
        "A message of a later release, or one of which something is damaged, holds up no other",
        arguments: ["kind = 'telepathy'", "sender = '{}'", "payload = 1"])
    func unreadableMessage(_ change: String) async throws {
        let run = try await harness.withOneRun()
        try await harness.withStore { store in
            for id in ["d", "e"] {
                _ = try await store.commit([.deliver(Delivery(to: run.record.id, id: id, kind: .signal, sender: Sample.person))])
            }
        }
        try harness.tamper("UPDATE inbox SET \(change) WHERE number = 1")
        try await harness.withStore { store in
            let rows = try await store.inbox(run: run.number)
            #expect(rows.map(\.delivery.kind) == [.unreadable, .signal])
        }
    }

    @Test(
        "A run's row that cannot be is named",
        arguments: [
            ("UPDATE runs SET state = 'dreaming'", "run number 1: its state 'dreaming'"),
            ("UPDATE runs SET workflow = CAST(x'FF' AS TEXT)", "run number 1: column workflow"),
        ])
    func badRun(_ change: String, _ message: String) async throws {
        let run = try await harness.withOneRun()
        try harness.tamper(change)
        try await harness.withStore { store in
            let error = try await refusal { _ = try await store.run(run.record.id) }
            #expect(error.code == .storeCorrupt && error.description.contains(message), "\(error)")
            #expect(try await refusal { _ = try await store.runs(RunFilter()) }.code == .storeCorrupt)
        }
    }

    @Test("An inbox row of a run without an id is named")
    func badInbox() async throws {
        let run = try await harness.withOneRun()
        try await harness.withStore { store in
            _ = try await store.commit([.deliver(Delivery(to: run.record.id, id: "d", kind: .signal, sender: Sample.person))])
        }
        try harness.tamper("UPDATE runs SET id = 'nobody'")
        try await harness.withStore { store in
            let error = try await refusal { _ = try await store.inbox(run: run.number) }
            #expect(error.code == .storeCorrupt && error.description.contains("inbox row 1: the id 'nobody'"), "\(error)")
        }
    }

    @Test("A run whose last event cannot be read is set aside by the claim, and the others go on")
    func damagedHead() async throws {
        let damaged = try await harness.withOneRun()
        let sound = try await harness.withStore { store in
            try await store.register(Self.heir)
            return try await store.commit([SampleRun().creation])
        }
        guard case .created(let record) = sound.first else { throw CannotGoOn() }
        try harness.tamper("UPDATE events SET hash = x'0102' WHERE seq = 6")
        try await harness.withStore { store in
            try await store.register(Self.heir)
            let claimed = try await store.claim(Self.claim)
            #expect(claimed.runs.map(\.record.number) == [record.number])
            #expect(claimed.setAside.map(\.id) == [damaged.record.id])
            #expect(claimed.setAside.first?.reason.contains("event 6 of run number 1: its hash") == true)
            let row = try #require(try await store.run(damaged.record.id))
            #expect(row.state == .quarantined && row.note?.contains("event 6 of run number 1: its hash") == true)
        }
    }

    @Test(
        "A closed run that cannot be read does not keep others from expiring",
        arguments: [
            "UPDATE events SET hash = x'0102' WHERE run = 1 AND seq = 2",
            "UPDATE runs SET salt = x'' , version = CAST(x'C328' AS TEXT) WHERE number = 1",
        ])
    func damagedExpiry(_ change: String) async throws {
        try await harness.withStore { store in
            try await store.register(Self.heir)
            for _ in 0..<2 {
                var run = SampleRun()
                guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
                run.record = record
                run.take(over: try #require(try await store.claim(Self.claim).runs.first))
                let end = run.advance([EventDraft(.runCompleted)], to: .init(to: .completed))
                guard case .advanced = try await store.commit([.advance(end)]).first else { throw CannotGoOn() }
            }
        }
        try harness.tamper(change)
        try await harness.withStore { store in
            let answer = try await store.expire(ExpiryRequest(closedBefore: .distantFuture, limit: 1_000))
            #expect(answer.expired == 1 && answer.isDone)
            #expect(answer.unreadable.map(\.number) == [1] && answer.unreadable.first?.id != nil)
            #expect(try await store.runNumbers(before: nil, limit: 10) == [2, 1])
            #expect(try await store.run(number: 2)?.tombstone != nil)
        }
    }

    @Test("A watch that has ended is not called any more")
    func endedWatch() async throws {
        try await harness.withStore { store in
            let bell = try #require(store as? SQLiteStore).bell
            let watches = (0..<3).map { _ in store.onOutsideDelivery {} }
            for watch in watches.dropLast() { watch.end() }
            #expect(bell.handlerCount == 1)
        }
    }

    private static let heir = NodeRegistration(id: NodeID(rawValue: "node-2"), build: "b1", host: "host", processID: 2)
    private static let claim = ClaimRequest(
        node: heir.id, build: "b1", hosted: [.init(workflow: "greeting", version: "1")], limit: 10)

    @Test("A value that was changed in the file breaks the chain at its event")
    func tamperedValue() async throws {
        let run = try await harness.withOneRun()
        try harness.tamper("UPDATE events SET output = replace(output, '3', '4') WHERE seq = 4")
        try await harness.withStore { store in
            let history = try await store.events(of: run.number, after: 0, limit: 100)
            let start = ChainHead.start(namespace: run.record.namespace, run: run.record.id.description)
            let broken = #expect(throws: ChainBreak.self) {
                try EventChain.verify(history, run: run.record.id.description, from: start)
            }
            #expect(broken?.seq == 4)
        }
    }

    @Test(
        "The audit finds what no sound store holds",
        arguments: [
            ("UPDATE runs SET owner = NULL", "has no owner"),
            ("UPDATE runs SET state = 'waiting'", "has an owner"),
            ("UPDATE runs SET wake_at = 1", "has a time to wake"),
            ("UPDATE runs SET closed_at = 1", "has a closing time"),
            ("UPDATE runs SET needs_retry = 1", "waits for a retry"),
            ("INSERT INTO wakes VALUES (1, 'greeting', '1', 1, NULL)", "is woken by messages that it does not have"),
            ("INSERT INTO inbox VALUES (1, 1, 'd', 0, 'resolve', '', NULL, '{}', 0)", "has unread messages that do not wake it"),
            ("UPDATE runs SET state = 'completed', owner = NULL", "has no closing time"),
            ("UPDATE runs SET state = 'completed', owner = NULL, closed_at = 1", "its history ends with step.succeeded"),
            ("UPDATE events SET kind = 'run.failed' WHERE seq = 6", "its history ends with run.failed"),
            ("UPDATE runs SET state = 'blocked', owner = NULL", "blocked but for no build"),
            ("UPDATE runs SET owner = 'nobody'", "a node that the store does not know"),
            ("INSERT INTO nodes SELECT 'n2', '', '', 0, '[]', 0, NULL", "2 nodes are registered"),
            ("DELETE FROM events WHERE seq = 3", "has 5 events from seq 1 to 6"),
            ("DELETE FROM events", "has no events"),
            ("UPDATE events SET run = 7 WHERE seq = 6", "which does not exist"),
            ("UPDATE events SET kind = 'question.asked' WHERE seq = 6", "is not listed"),
            ("INSERT INTO open_requests VALUES (6, 1, 'a', 'question.asked')", "is listed but not open"),
            ("INSERT INTO business_key_waiters VALUES (1, 1, 'a')", "a business key that does not exist"),
            (
                "INSERT INTO blocked_builds VALUES (1, 'b1'); UPDATE runs SET state = 'ready', owner = NULL",
                "still marked as blocked"
            ),
            ("INSERT INTO inbox VALUES (1, 1, 'd', 0, 'signal', '', 'payload', '{}', 1)", "keeps its payload"),
            (
                "INSERT INTO inbox VALUES (1, 1, 'd', 0, 'signal', '', NULL, '{}', 0); "
                    + "UPDATE runs SET state = 'failed', owner = NULL, closed_at = 1", "has not read inbox row 1"
            ),
        ])
    func audit(_ change: String, _ sentence: String) async throws {
        _ = try await harness.withOneRun()
        try harness.tamper(change)
        try await harness.withStore { store in
            let breaches = try await store.audit()
            #expect(breaches.contains { $0.contains(sentence) }, "\(breaches)")
        }
    }

    @Test("Pages of garbage give errors or nothing, never a crash", arguments: UInt64(1)...40)
    func garbage(_ seed: UInt64) async throws {
        var generator = Garbage(state: seed)
        let run = try await harness.withOneRun()
        let url = URL(fileURLWithPath: harness.path)
        var file = try Data(contentsOf: url)
        for _ in 0..<3 {
            // The first hundred bytes are the header; with them gone it is no database at all.
            let start = Int.random(in: 100..<file.count, using: &generator)
            let end = min(file.count, start + Int.random(in: 1..<3_000, using: &generator))
            for index in start..<end { file[index] = UInt8.random(in: 0...255, using: &generator) }
        }
        try file.write(to: url)
        do {
            try await harness.withStore { store in try await Self.useEverything(of: store, run) }
        } catch let error as StoreError {
            #expect(!error.publicError.message.isEmpty)
        }
    }

    /// Every call once. Each may fail, only as a store may.
    private static func useEverything(of store: any Store, _ run: SampleRun) async throws {
        var run = run
        let calls: [() async throws -> Void] = [
            { try await store.register(heir) },
            { _ = try await store.claim(claim) },
            { _ = try await store.commit([SampleRun(key: "k").creation, SampleRun().creation]) },
            { _ = try await store.commit([.advance(run.advance([EventDraft(.statusReported)]))]) },
            {
                _ = try await store.commit([.deliver(Delivery(to: run.record.id, id: "d", kind: .signal, sender: Sample.person))])
            },
            { _ = try await store.events(of: run.number, after: 0, limit: 100) },
            { _ = try await store.inbox(run: run.number) },
            { _ = try await store.run(run.record.id) },
            { _ = try await store.runs(RunFilter()) },
            { _ = try await store.runs(RunFilter(states: RunState.allCases)) },
            { _ = try await store.counts(namespace: nil) },
            { _ = try await store.openRequests(RequestQuery(limit: 10)) },
            { _ = try await store.nextWake(hosted: claim.hosted) },
            { _ = try await store.keyHolder(BusinessKey(namespace: "default", step: "a", key: "b")) },
            { _ = try await store.audit() },
        ]
        for call in calls {
            do { try await call() } catch is StoreError {}
        }
    }
}

/// The same garbage for the same seed.
private struct Garbage: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
