import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@testable import PerdurePostgres

/// History that goes back under processes that know more. Here events are taken out of the tables and connections cut, which is what a
/// process sees of a replica that was behind; `perdure failures` promotes real ones.
struct RestorationTests: TwoNodeTests {
    @Test func `a process that was told of a commit that is gone notices before it does anything, and ends every node`()
        async throws
    {
        try await withNodes { one, two, harness in
            var run = try await owned(one)
            _ = try await one.commit([.advance(run.advance([EventDraft(.statusReported)]))])
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number) AND seq = 2")
            // The other node has lost nothing, and may not go on before this one has looked.
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
            let restoration = try #require(try await two.restoration())
            #expect(restoration.isStanding && restoration.noticedBy == "node-1" && restoration.reason.contains("event 2"))
            #expect(try await two.livingNodes().isEmpty)
            try await expectRestored { () throws(StoreError) in try await two.renew(Self.second) }
            try await expectRestored { () throws(StoreError) in
                try await one.commit([.advance(run.advance([EventDraft(.statusReported)]))])
            }
        }
    }

    @Test func `an event with another hash in the place of one that was durable is noticed`() async throws {
        try await withNodes { one, two, harness in
            let run = try await owned(one)
            try await goBack(harness, "UPDATE perdure.events SET hash = sha256(hash) WHERE run = \(run.number)")
            try await expectRestored { () throws(StoreError) in try await one.counts(namespace: nil) }
            #expect(try await two.restoration()?.isStanding == true)
        }
    }

    @Test func `a run that is gone with all of its rows is noticed`() async throws {
        try await withNodes { one, _, harness in
            let run = try await owned(one)
            try await goBack(
                harness,
                "DELETE FROM perdure.events WHERE run = \(run.number); DELETE FROM perdure.runs WHERE number = \(run.number)")
            try await expectRestored { () throws(StoreError) in try await one.renew(Self.first) }
        }
    }

    @Test func `connections that are cut lose nothing, and nobody holds`() async throws {
        try await withNodes { one, two, harness in
            var run = try await owned(one)
            _ = try await one.commit([.advance(run.advance([EventDraft(.statusReported)]))])
            for _ in 0..<3 {
                try await goBack(harness)
                try await one.renew(Self.first)
                try await two.renew(Self.second)
            }
            let results = try await one.commit([.advance(run.advance([EventDraft(.statusReported)]))])
            guard case .advanced? = results.first else {
                Issue.record("\(results)")
                return
            }
            #expect(try await two.restoration() == nil)
        }
    }

    @Test func `the events of a run that has expired are not missed`() async throws {
        try await withNodes { one, _, harness in
            var run = try await owned(one)
            _ = try await one.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
            harness.clock.advance(by: .days(1))
            _ = try await one.expire(ExpiryRequest(closedBefore: harness.clock.now, limit: 100))
            #expect(try await one.run(number: run.number)?.tombstone != nil)
            try await goBack(harness)
            try await one.renew(Self.first)
            #expect(try await one.restoration() == nil)
        }
    }

    @Test func `nobody goes on with another server before every living node has looked`() async throws {
        try await withNodes { one, two, harness in
            var run = try await owned(one)
            // As if the server were another one, which this node has found whole and the other has not seen yet.
            try await pretendRestart(harness, of: Self.second)
            let request = Self.request(Self.first)
            await expectUnavailable { () throws(StoreError) in try await one.claim(request) }
            let advance = CommitItem.advance(run.advance([EventDraft(.statusReported)]))
            await expectUnavailable { () throws(StoreError) in try await one.commit([advance]) }
            // Messages are taken all the same.
            let client = try await harness.open(.client)
            let message = Delivery(to: run.record.id, id: "m", kind: .signal, name: "go", sender: Sample.person)
            #expect(try await client.commit([.deliver(message)]).count == 1)
            await client.close()
            try await goBack(harness)
            try await two.renew(Self.second)
            _ = try await one.claim(request)
            guard case .advanced? = try await one.commit([advance]).first else {
                Issue.record("it was refused")
                return
            }
        }
    }

    @Test func `a node of the release before is not let in while nothing may be begun, and nobody waits for one`() async throws {
        try await withNodes { one, _, harness in
            let insert = """
                INSERT INTO perdure.nodes (id, build, host, process_id, hosted, started_at, lease_until, level)
                VALUES ('old-%', 'b', 'h', 1, '[]', 1, 9000000000000000, 4)
                """
            let admin = try harness.database.connect()
            try await admin.perform { try $0.run(insert.replacing("%", with: "1")) }
            _ = try await one.claim(Self.request(Self.first))
            let begun = try await one.beginRestoration(by: "somebody", reason: "why")
            await #expect(throws: StoreError.self) { try await admin.perform { try $0.run(insert.replacing("%", with: "2")) } }
            _ = try await one.markRestored(begun.number, limit: 10, by: Sample.person)
            try await admin.perform { try $0.run(insert.replacing("%", with: "3")) }
        }
    }

    @Test func `what was lost before a recovery holds nobody a second time`() async throws {
        try await withNodes { one, two, harness in
            let run = try await owned(one)
            harness.clock.advance(by: .seconds(1))
            try await recover(two)
            try await goBack(harness, "DELETE FROM perdure.events WHERE run = \(run.number) AND seq = 1")
            // It ends all the same: what it has in memory is ahead of the store.
            await expectLeaseLost { () throws(StoreError) in try await one.renew(Self.first) }
            #expect(try await two.restoration()?.isStanding == false)
        }
    }

    @Test func `runs that are being made as history goes back are waited for, and marked`() async throws {
        try await withNodes { one, two, harness in
            // A process without a node, which nobody ends, starts a run by a schedule. Its row is held, so that the commit has asked
            // already whether anything may be begun.
            let client = try await harness.open(.client)
            let key = ScheduleKey(namespace: "default", id: "s")
            func row(_ version: Int64) -> ScheduleRow { ScheduleRow(key: key, version: version, dueAt: nil, document: "{}") }
            _ = try await client.commit([.schedule(ScheduleChange(key, on: nil, to: row(1)))])
            let held = try await harness.database.hold("SELECT 1 FROM perdure.schedules FOR UPDATE")
            let run = SampleRun(key: "due", at: harness.clock.now)
            async let started = client.commit([.schedule(ScheduleChange(key, on: 1, to: row(2), starts: [run.new]))])
            try await harness.database.untilSomebodyWaitsForALock()
            let isOver = Mutex(false)
            let recovery = Task {
                defer { isOver.withLock { $0 = true } }
                let begun = try await two.beginRestoration(by: "somebody", reason: "why")
                return try await two.markRestored(begun.number, limit: 10, by: Sample.person)
            }
            while !isOver.withLock({ $0 }), try await harness.ask(Self.waiting) != ["2"] { await Task.yield() }
            try await held.commit()
            guard case .scheduled? = try await started.first else { throw NothingThrown() }
            #expect(try await recovery.value.marked == 1)
            let made = try #require(try await one.run(run.record.id))
            #expect(try await one.events(of: made.number, after: 0, limit: 10).map(\.kind) == [.runStarted, .runRestored])
            await client.close()
        }
    }

    @Test func `a run whose row takes no change does not keep the hold from ending`() async throws {
        try await withNodes { one, two, harness in
            var runs: [SampleRun] = []
            for _ in 0..<7 { runs.append(try await owned(one)) }
            let stuck = runs[4].number
            try await harness.database.connect().perform {
                try $0.run("UPDATE perdure.runs SET epoch = 9223372036854775807 WHERE number = \(stuck)")
            }
            let begun = try await two.beginRestoration(by: "somebody", reason: "why")
            let done = try await two.markRestored(begun.number, limit: 10, by: Sample.person)
            #expect(!done.isStanding && done.marked == 6)
            for run in runs {
                let kinds = try await two.events(of: run.number, after: 0, limit: 10).map(\.kind)
                #expect(kinds == (run.number == stuck ? [.runStarted] : [.runStarted, .runRestored]))
            }
        }
    }

    private static let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    // MARK: Tools

    private func expectUnavailable(_ body: () async throws(StoreError) -> some Any) async {
        do throws(StoreError) {
            _ = try await body()
            Issue.record("it was done")
        } catch {
            guard case .awaitsNodes = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
