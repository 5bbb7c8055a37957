import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

/// What a tenant learns of another one's runs: nothing, whatever has become of them.
struct ConfinementTests {
    private static let node = NodeID(rawValue: "node-1")
    /// As a later release may leave its runs.
    private static let tampering = """
        DO $body$ DECLARE name text; BEGIN
            FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'perdure.runs'::regclass AND contype = 'c' LOOP
                EXECUTE format('ALTER TABLE perdure.runs DROP CONSTRAINT %I', name);
            END LOOP;
        END $body$;
        UPDATE perdure.runs SET state = 'dreaming'
        """

    /// A store with a chain of two runs in the namespace `other`.
    private func withChain(
        _ body: (PostgresStore, PostgresHarness, _ first: RunRecord, _ last: RunRecord) async throws -> Void
    ) async throws {
        let harness = try await PostgresHarness()
        let store = try await harness.open(.engine) { _ in }
        try await store.register(NodeRegistration(id: Self.node, build: "b1", host: "host", processID: 1))
        var run = SampleRun(namespace: "other", owner: Self.node)
        guard case .created(let record)? = try await store.commit([run.creation]).first else { throw NothingThrown() }
        run.record = record
        let next = SampleRun(namespace: "other", continuing: run)
        let end = run.advance([EventDraft(.runContinued)], to: .init(to: .completed), successor: next)
        guard case .advanced? = try await store.commit([.advance(end)]).first else { throw NothingThrown() }
        guard let last = try await store.run(next.record.id) else { throw NothingThrown() }
        try await body(store, harness, record, last)
        await store.close()
        await harness.remove()
    }

    // Promise: 46
    @Test func `a run that cannot be read is told of to its own namespace only`() async throws {
        try await withChain { store, harness, first, last in
            let connection = try harness.database.connect()
            try await connection.perform { try $0.run(Self.tampering) }
            await connection.close()
            let shop = ConfinedStore(store, to: "shop"), own = ConfinedStore(store, to: "other")
            #expect(try await shop.run(first.id) == nil)
            #expect(try await shop.run(number: first.number) == nil)
            #expect(try await shop.lastOfChain(begunBy: first.id) == nil)
            #expect(try await shop.runNumbers(before: nil, limit: 10) == [])
            #expect(try await own.runNumbers(before: nil, limit: 10).count == 2)
            let wait = RunWait(run: first.id)
            #expect(try await shop.ended(among: [wait]) == [wait])
            for target in [first.id, last.id] {
                for kind in [InboxKind.signal, .resolve] {
                    let message = Delivery(to: target, id: "m", kind: kind, name: "s", sender: Sample.person)
                    guard case .refused(.runUnknown)? = try await shop.commit([.deliver(message)]).first else {
                        throw NothingThrown()
                    }
                    guard case .refused(.invalid)? = try await own.commit([.deliver(message)]).first else {
                        throw NothingThrown()
                    }
                }
            }
            for look in [
                { _ = try await own.run(first.id) }, { _ = try await own.run(number: first.number) },
                { _ = try await own.lastOfChain(begunBy: first.id) },
            ] as [() async throws -> Void] {
                let error = try await storeError { try await look() }
                #expect(error.kind == "corrupt" && error.description.contains("its state 'dreaming'"), "\(error)")
            }
        }
    }

    // Promise: 46
    @Test func `a message to a run of another namespace holds nothing of it`() async throws {
        try await withChain { store, harness, first, last in
            let held = try await harness.database.hold("SELECT 1 FROM perdure.runs FOR UPDATE")
            let shop = ConfinedStore(store, to: "shop")
            for target in [first.id, last.id] {
                let message = Delivery(to: target, id: "m", kind: .signal, name: "s", sender: Sample.person)
                guard case .refused(.runUnknown)? = try await shop.commit([.deliver(message)]).first else {
                    throw NothingThrown()
                }
            }
            try await held.commit()
        }
    }
}
