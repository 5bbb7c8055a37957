import Perdure
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Testing

/// What a person with `sqlite3` relies on.
struct LayoutTests {
    let harness: SQLiteHarness

    init() throws { harness = try SQLiteHarness() }

    @Test("Values are readable text that SQL functions for JSON understand")
    func readable() async throws {
        _ = try await harness.withOneRun()
        #expect(try harness.ask("SELECT output FROM events WHERE seq = 3") == #"{"number":2}"#)
        #expect(try harness.ask("SELECT typeof(output) FROM events WHERE seq = 3") == "text")
        #expect(try harness.ask("SELECT json_extract(output, '$.number') FROM events WHERE seq = 6") == "5")
        #expect(try harness.ask("SELECT json_extract(attributes, '$.build') FROM events WHERE seq = 1") == "b1")
        #expect(try harness.ask("SELECT group_concat(kind, ' ') FROM events WHERE seq < 3") == "run.started step.succeeded")
        #expect(try harness.ask("SELECT state || ' ' || owner FROM runs") == "running node-1")
    }

    @Test("A value above 64 KiB stands beside its event, once for each run that has it")
    func large() async throws {
        let value = "\"" + String(repeating: "x", count: 70_000) + "\""
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            for _ in 0..<2 {
                var run = SampleRun(owner: SQLiteHarness.node.id)
                guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
                run.record = record
                let draft = EventDraft(.stepSucceeded, input: .inline(Array(value.utf8)), output: .inline(Array(value.utf8)))
                guard case .advanced = try await store.commit([.advance(run.advance([draft]))]).first else { throw CannotGoOn() }
            }
        }
        #expect(try harness.ask("SELECT group_concat(run) FROM blobs") == "1,2")
        #expect(try harness.ask("SELECT content FROM blobs WHERE run = 1") == value)
        #expect(
            try harness.ask("SELECT length(output) || ' ' || output_size || ' ' || typeof(output) FROM events WHERE seq = 2")
                == "32 70002 blob")
    }

    @Test(
        "A large value that was lost, cut or left behind is found",
        arguments: [
            ("DELETE FROM blobs", "has lost its large value"),
            ("UPDATE blobs SET content = 'short'", "has lost its large value"),
            ("INSERT INTO blobs (run, digest, content) VALUES (1, zeroblob(32), 'x')", "keeps a large value"),
        ])
    func lostValues(edit: String, sentence: String) async throws {
        try await harness.withStore { store in
            let run = SampleRun(input: "\"" + String(repeating: "x", count: 70_000) + "\"")
            guard case .created = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            #expect(try await store.audit().isEmpty)
        }
        try harness.tamper(edit)
        try await harness.withStore { store in
            let breaches = try await store.audit()
            #expect(breaches.contains { $0.contains(sentence) }, "\(breaches)")
        }
    }

    @Test("Of an expired run one row of two tables is left, and numbers of messages are not used again")
    func expired() async throws {
        let value = StoredValue.inline([UInt8](repeating: 120, count: 70_000))
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            for name in ["a", "b"] {
                var run = SampleRun(owner: SQLiteHarness.node.id)
                guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
                run.record = record
                _ = try await store.commit([.deliver(Delivery(to: record.id, id: "d", kind: .signal, sender: Sample.person))])
                let rows = try await store.inbox(run: record.number).map(\.number)
                let drafts = [EventDraft(.stepSucceeded, subject: name, output: value), EventDraft(.runCompleted)]
                _ = try await store.commit([.advance(run.advance(drafts, to: .init(to: .completed), consuming: rows))])
                harness.clock.advance(by: .seconds(60))
                if name == "a" { _ = try await store.expire(ExpiryRequest(closedBefore: harness.clock.now, limit: 1_000)) }
            }
        }
        #expect(
            try harness.ask("SELECT last_seq || ' ' || state || ' ' || leftover FROM runs WHERE number = 1") == "3 completed 0")
        #expect(try harness.ask("SELECT group_concat(kind) FROM events WHERE run = 1") == "run.expired")
        #expect(try harness.ask("SELECT group_concat(run) FROM blobs") == "2")
        #expect(try harness.ask("SELECT group_concat(run || ' ' || number) FROM inbox") == "2 2")
    }

    @Test("Events stand in the order of their commits, whichever run they belong to")
    func appended() async throws {
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            var runs: [SampleRun] = []
            for _ in 0..<3 {
                var run = SampleRun(owner: SQLiteHarness.node.id)
                guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
                run.record = record
                runs.append(run)
            }
            for _ in 0..<2 {
                var items: [CommitItem] = []
                for index in runs.indices { items.append(.advance(runs[index].advance([EventDraft(.statusReported)]))) }
                _ = try await store.commit(items)
            }
        }
        let places = "SELECT run || '.' || seq AS place FROM events ORDER BY position"
        let found = try harness.ask("SELECT group_concat(place, ' ') FROM (\(places))")
        #expect(found == "1.1 2.1 3.1 1.2 2.2 3.2 1.3 2.3 3.3")
    }

    @Test("Messages that wake nobody are not where claims look")
    func silent() async throws {
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            var run = SampleRun(owner: SQLiteHarness.node.id)
            guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            run.record = record
            let blocked = RunTransition(to: .blocked, blockedBuild: "b1")
            let deliveries = (0..<100).map { number in
                CommitItem.deliver(Delivery(to: record.id, id: "\(number)", kind: .signal, sender: Sample.person))
            }
            _ = try await store.commit([.advance(run.advance([], to: blocked))] + deliveries)
        }
        #expect(try harness.ask("SELECT count(*) FROM inbox WHERE consumed = 0") == "100")
        #expect(try harness.ask("SELECT count(*) FROM wakes") == "0")
    }

    @Test("A read message keeps its id, and of its payload a digest that nobody can guess it from")
    func consumed() async throws {
        var run = try await harness.withOneRun()
        let payload = Array(#""personal""#.utf8)
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            _ = try await store.commit([
                .deliver(Delivery(to: run.record.id, id: "d", kind: .signal, payload: payload, sender: Sample.person))
            ])
            let rows = try await store.inbox(run: run.number)
            _ = try await store.commit([.advance(run.advance([EventDraft(.signalReceived)], consuming: rows.map(\.number)))])
        }
        let digest = SaltedDigest.hex(salt: run.record.salt, canonicalBytes: payload)
        #expect(
            try harness.ask("SELECT delivery_id || ' ' || consumed || ' ' || lower(hex(payload)) FROM inbox") == "d 1 \(digest)")
    }
}
