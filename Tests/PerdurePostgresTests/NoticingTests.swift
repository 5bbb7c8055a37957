import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdurePostgres

/// What of a loss is noticed and by what, and what is not taken for one. Rows are taken out of the tables, and connections cut.
struct NoticingTests: TwoNodeTests {
    private static let third = NodeID(rawValue: "node-3")

    // MARK: Retention

    @Test func `a run that another node has removed by rule is not missed`() async throws {
        try await withNodes { one, two, harness in
            var run = try await owned(one)
            _ = try await one.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
            harness.clock.advance(by: .seconds(1))
            _ = try await two.expire(ExpiryRequest(closedBefore: harness.clock.now, limit: 100))
            harness.clock.advance(by: .seconds(1))
            // However short it is to be kept, the tombstone stays for longer than the run would be missed.
            for isOld in [false, true] {
                if isOld { harness.clock.advance(by: .minutes(15)) }
                let request = ExpiryRequest(closedBefore: nil, expiredBefore: harness.clock.now, limit: 100)
                #expect(try await two.expire(request).removed == (isOld ? 1 : 0))
                try await goBack(harness)
                try await one.renew(Self.first)
                #expect(try await two.restoration() == nil)
            }
        }
    }

    // MARK: Restorations

    @Test func `what is lost after a recovery is noticed, though a clock was set back since`() async throws {
        try await withNodes { one, two, harness in
            harness.clock.advance(by: .hours(1))
            try await recover(two)
            harness.clock.advance(by: .hours(-1))
            let three = try await harness.open(.engine) { _ in }
            try await three.register(Self.registration(Self.third))
            // One that was begun by a clock like the first one: else it would be taken for an old start.
            let run = try await owned(three, as: Self.third, at: harness.clock.now + .hours(2))
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number)")
            try await expectRestored { () throws(StoreError) in try await three.renew(Self.third) }
            #expect(try await two.restoration()?.number == 2)
            await three.close()
        }
    }

    @Test func `what was lost before a recovery holds nobody again, though its clock was ahead`() async throws {
        try await withNodes { one, two, harness in
            harness.clock.advance(by: .hours(1))
            let run = try await owned(one)
            harness.clock.advance(by: .hours(-1))
            try await recover(two)
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number)")
            // It ends all the same: what it has in memory is ahead of the store.
            await expectLeaseLost { () throws(StoreError) in try await one.renew(Self.first) }
            try await expectOneLifted(two)
        }
    }

    @Test(arguments: [false, true])
    func `a restoration that is gone is a loss, whether it stood or was lifted`(isLifted: Bool) async throws {
        try await withNodes { one, two, harness in
            let begun = try await two.beginRestoration(by: "somebody", reason: "why")
            let three = try await harness.open(.engine) { _ in }
            try await three.register(Self.registration(Self.third))
            if isLifted {
                _ = try await two.markRestored(begun.number, limit: 10, by: Sample.person)
                try await three.renew(Self.third)
            } else {
                #expect(try await three.claim(Self.request(Self.third)).isHeld)
            }
            try await goBack(harness, "DELETE FROM perdure.restorations")
            try await expectRestored { () throws(StoreError) in try await three.renew(Self.third) }
            let noticed = try #require(try await two.restoration())
            #expect(noticed.isStanding && noticed.reason.contains("restoration number 1"))
            await three.close()
        }
    }

    @Test func `a process that has noticed a loss writes it down once`() async throws {
        try await withNodes { one, two, harness in
            let run = try await owned(one)
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number)")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
            let noticed = try #require(try await two.restoration())
            // As one that is being recovered: who begins it anew would have the command never come to its end.
            try await harness.database.connect().perform { try $0.run("UPDATE perdure.restorations SET marked_up_to = 1") }
            try await expectRestored { () throws(StoreError) in try await one.counts(namespace: nil) }
            #expect(try await two.restoration()?.markedUpTo == 1)
            _ = try await two.markRestored(noticed.number, limit: 10, by: Sample.person)
            await expectLeaseLost { () throws(StoreError) in try await one.counts(namespace: nil) }
            #expect(try await two.restoration()?.isStanding == false)
        }
    }

    // MARK: Leases

    @Test(arguments: ["UPDATE perdure.nodes SET renewals = renewals - 1", "DELETE FROM perdure.nodes"])
    func `a node whose confirmed renewal is gone notices it, though it has committed nothing`(_ loss: String) async throws {
        try await withNodes { one, two, harness in
            try await one.renew(Self.first)
            try pretendOtherServer(one)
            try await goBack(harness, "\(loss) WHERE id = '\(Self.first)'")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(try await two.restoration()?.reason.contains("renewal 1 of the lease of node-1") == true)
        }
    }

    @Test func `a node that its server has forgotten within its lease has lost nothing`() async throws {
        try await withNodes { one, two, harness in
            try await one.renew(Self.first)
            // As others end it whose clocks went on while this machine stood still.
            try await goBack(harness, "DELETE FROM perdure.nodes WHERE id = '\(Self.first)'")
            await expectLeaseLost { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(try await two.restoration() == nil)
        }
    }

    @Test func `a node that a restoration has ended misses nothing, though it has started a run since`() async throws {
        try await withNodes { one, two, harness in
            try await one.renew(Self.first)
            _ = try await two.beginRestoration(by: "somebody", reason: "why")
            let three = try await harness.open(.engine) { _ in }
            try await three.register(Self.registration(Self.third))
            _ = try await one.commit([SampleRun(at: harness.clock.now).creation])
            #expect(one.recollection.known.restoration == 1)
            try pretendOtherServer(one)
            try await goBack(harness, "DELETE FROM perdure.nodes WHERE id = '\(Self.first)'")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(one.recollection.known.noticed == nil)
            try await three.renew(Self.third)
            await three.close()
        }
    }

    @Test func `a registration while a restoration stands is missed if it is gone`() async throws {
        try await withNodes { one, two, harness in
            _ = try await two.beginRestoration(by: "somebody", reason: "why")
            let three = try await harness.open(.engine) { _ in }
            try await three.register(Self.registration(Self.third))
            try pretendOtherServer(three)
            try await goBack(harness, "DELETE FROM perdure.nodes WHERE id = '\(Self.third)'")
            try await expectRestored { () throws(StoreError) in try await three.renew(Self.third) }
            #expect(three.recollection.known.noticed == 1)
            await three.close()
        }
    }

    @Test func `a node that others have ended and forgotten has lost nothing`() async throws {
        try await withNodes { one, two, harness in
            try await one.renew(Self.first)
            for _ in 0..<6 {
                harness.clock.advance(by: .seconds(5))
                try await two.renew(Self.second)
            }
            #expect(try await two.nodes().map(\.registration.id) == [Self.second])
            try await goBack(harness)
            await expectLeaseLost { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(try await two.restoration() == nil)
        }
    }

    @Test func `a node that a restoration has ended, and that was forgotten since, has lost nothing`() async throws {
        try await withNodes { one, two, harness in
            try await recover(two)
            let three = try await harness.open(.engine) { _ in }
            try await three.register(Self.registration(Self.third))
            try await goBack(harness)
            await expectLeaseLost { () throws(StoreError) in try await one.renew(Self.first) }
            try await expectOneLifted(three)
            await three.close()
        }
    }

    @Test func `a process that replaces its node, or lets it go, does not miss its row`() async throws {
        try await withNodes { one, two, harness in
            try await one.register(Self.registration(Self.third))
            try await goBack(harness)
            try await one.renew(Self.third)
            try await one.register(Self.registration(Self.third))
            try await goBack(harness)
            try await one.renew(Self.third)
            try await one.unregister(Self.third)
            try await goBack(harness)
            _ = try await one.counts(namespace: nil)
            #expect(try await two.restoration() == nil)
        }
    }

    // MARK: What is kept in mind

    @Test func `each of sixteen transactional steps is kept in mind`() async throws {
        try await withNodes { one, two, harness in
            var runs: [SampleRun] = []
            for _ in 0..<16 { runs.append(try await owned(one)) }
            for index in runs.indices { try await transact(&runs[index], on: one) }
            let lost = runs[0].number
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(lost) AND seq = 2")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(try await two.restoration()?.reason.hasPrefix("event 2 of run number \(lost)") == true)
        }
    }

    @Test func `the last commits on the connection that writes are kept in mind`() async throws {
        try await withNodes { one, two, harness in
            var runs: [SampleRun] = []
            for _ in 0..<4 { runs.append(try await owned(one)) }
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(runs[0].number)")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
        }
    }

    @Test func `who has taken a run over notices that this is lost`() async throws {
        try await withNodes { one, two, harness in
            let run = try await owned(one)
            for _ in 0..<6 {
                harness.clock.advance(by: .seconds(5))
                try await two.renew(Self.second)
            }
            #expect(try await two.claim(Self.request(Self.second)).runs.map(\.isTakeover) == [true])
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number) AND seq = 2")
            try await expectRestored { () throws(StoreError) in try await two.renew(Self.second) }
            #expect(try await one.restoration()?.reason.hasPrefix("event 2 of run number \(run.number)") == true)
        }
    }

    @Test func `a commit is kept in mind before its connection does anything else`() async throws {
        try await withNodes { one, _, _ in
            var run = try await owned(one)
            let advance = CommitItem.advance(run.advance([EventDraft(.statusReported)])), number = run.number
            let hasEvent = SQL("SELECT 1 FROM perdure.events WHERE run = \(number) AND seq = 2")
            async let results = one.commit([advance])
            var isDurable = false
            while !isDurable {
                let recollection = one.recollection
                let (isThere, isKnown) = try await one.writer.perform { session in
                    (try session.exists(hasEvent), recollection.known.entries.contains { $0.run == number && $0.seq == 2 })
                }
                #expect(isThere == isKnown)
                isDurable = isThere
            }
            #expect(try await results.count == 1)
        }
    }

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
            // What confirms it otherwise is a new connection.
            _ = try await one.nodes()
            try await pretendRestart(harness, of: Self.first)
            try await one.register(Self.registration(Self.first))
            #expect(try await one.nodes().filter(\.isAwaited).isEmpty)
        }
    }

    // MARK: Another store

    @Test(arguments: [
        "UPDATE perdure.meta SET value = 'another' WHERE name = 'identity'", "ALTER TABLE perdure.meta RENAME TO other",
    ])
    func `a link to another store is refused, and nothing is written there`(_ change: String) async throws {
        try await withNodes { one, two, harness in
            let run = try await owned(one), client = try await harness.open(.client)
            let admin = try harness.database.connect()
            let kept = "CREATE TABLE kept AS SELECT * FROM perdure.events; CREATE TABLE own AS SELECT * FROM perdure.meta;"
            try await goBack(harness, "\(kept) DELETE FROM perdure.events; \(change)")
            for store in [one as any Store, two, client] {
                let error = try await storeError { try await store.counts(namespace: nil) }
                #expect(error.kind == "unavailable" && "\(error)".contains("another store"))
            }
            let message = Delivery(to: run.record.id, id: "m", kind: .signal, name: "go", sender: Sample.person)
            #expect(try await storeError { try await client.commit([.deliver(message)]) }.kind == "unavailable")
            let anything = SQL("SELECT 1 FROM perdure.restorations UNION ALL SELECT 1 FROM perdure.inbox")
            #expect(try await admin.perform { try !$0.exists(anything) })
            // It leads to the first one again.
            try await admin.perform {
                try $0.run(
                    """
                    INSERT INTO perdure.events OVERRIDING SYSTEM VALUE SELECT * FROM kept;
                    DROP TABLE IF EXISTS perdure.other; DROP TABLE IF EXISTS perdure.meta;
                    CREATE TABLE perdure.meta AS SELECT * FROM own;
                    """)
            }
            try await one.renew(Self.first)
            #expect(try await two.restoration() == nil)
            await client.close()
        }
    }

    // MARK: Tools

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

    /// As if what this process knows of its lease had been confirmed by another server.
    private func pretendOtherServer(_ store: PostgresStore) throws {
        let lease = try #require(store.recollection.known.lease)
        store.recollection.note(
            Recollection.Lease(
                node: lease.node, renewals: lease.renewals, server: 1, restoration: lease.restoration, asked: lease.asked))
    }

    private func expectOneLifted(_ store: PostgresStore) async throws {
        let last = try await store.restoration()
        #expect(last?.number == 1 && last?.isStanding == false)
    }

}
