import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

/// What quotas of a namespace do to those who start runs, in a time of their own.
@Suite(.timeLimit(.minutes(10))) struct QuotaTests {
    private func isSound(_ client: Client) async throws { #expect(try await client.store.audit() == []) }

    // Promise: 46
    @Test func `a start beyond the open runs is refused and says what to do, and one that was made before is found`() async throws
    {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) { bench.flow(taking: .hours(1)) }
            try await engine.client.changeQuotas(of: "default", by: World.ada) { $0.openRuns = 2 }
            let first = try await engine.start(Flow.self, input: "a", key: "k", by: World.ada)
            _ = try await engine.start(Flow.self, input: "b", by: World.ada)
            let error = await #expect(throws: PerdureError.self) {
                try await engine.start(Flow.self, input: "c", key: "c", by: World.ada)
            }
            #expect(error?.code == .quotaExceeded && error?.retryAfter == nil)
            #expect(
                error?.message
                    == "Namespace 'default' has 2 open runs, and 2 are allowed. Nothing was started; start it again when some "
                    + "have ended, or have the quota raised.")
            #expect(
                error?.metadata.map { "\($0.name)=\($0.value)" } == ["namespace=default", "quota=open_runs", "limit=2", "used=2"])
            let again = try await engine.start(Flow.self, input: "a", key: "k", by: World.ada)
            #expect(again.id == first.id && !again.isNew)
            let fork = await #expect(throws: PerdureError.self) {
                try await engine.client.fork(first.id, at: 1, by: World.ada)
            }
            #expect(fork?.code == .quotaExceeded)
            #expect(try await engine.client.runs().count == 2)
            _ = try await engine.result(of: first.id)
            let late = try await engine.start(Flow.self, input: "c", key: "c", by: World.ada)
            #expect(late.isNew)
            let info = try #require(try await engine.client.namespaces().first?.quotas)
            #expect(info.openRuns <= 2 && info.quotas.openRuns == 2 && info.changedBy == World.ada)
            try await isSound(engine.client)
        }
    }

    @Test func `a start that comes too fast is told when to try again`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) { bench.flow(taking: .hours(1)) }
            try await engine.client.changeQuotas(of: "default", by: World.ada) {
                $0.starts = .init(6, per: .seconds(60), burst: 2)
            }
            for input in ["a", "b"] { _ = try await engine.start(Flow.self, input: input, by: World.ada) }
            let error = await #expect(throws: PerdureError.self) { try await engine.start(Flow.self, input: "c", by: World.ada) }
            let wait = try #require(error?.retryAfter)
            #expect(error?.code == .quotaExceeded && wait <= .seconds(10) && wait > .seconds(9))
            try await bench.simulation.sleep(for: wait)
            _ = try await engine.start(Flow.self, input: "c", by: World.ada)
        }
    }

    // Promise: 46
    @Test func `a quota stops nothing that is under way, and children begin whatever it says`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) {
                Flow { input, context in
                    if input == "child" { return "done" }
                    _ = try await context.signal(Poke.self)
                    return try await context.child(Flow.self, input: "child", irreversible: "x")
                }
            }
            let run = try await engine.start(Flow.self, input: "parent", by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            try await engine.client.changeQuotas(of: "default", by: World.ada) { quotas in
                quotas = NamespaceQuotas(openRuns: 0, payloadBytes: 0, starts: .init(1, per: .seconds(3_600)))
            }
            try await engine.client.signal(run.id, Poke.self, "go", by: World.ada)
            #expect(try await engine.result(of: run.id) == Data(#""done""#.utf8))
            let error = await #expect(throws: PerdureError.self) { try await engine.start(Flow.self, input: "x", by: World.ada) }
            #expect(error?.code == .quotaExceeded)
            try await isSound(engine.client)
        }
    }

    // Promise: 46
    @Test(arguments: [nil, 1, 2] as [UInt64?])
    func `a schedule that has no room says so, waits, and loses no due time`(seed: UInt64?) async throws {
        let bench = QueueBench(seed: seed)
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) { bench.flow(taking: .seconds(1)) }
            try await engine.client.changeQuotas(of: "default", by: World.ada) { $0.openRuns = 0 }
            var schedule = try Schedule(.every(.minutes(1)), Flow.self, input: "s")
            schedule.overlap = .allow
            schedule.catchUp = .seconds(86_400)
            try await engine.schedule("s", schedule, by: World.ada)
            try await bench.simulation.sleep(for: .minutes(20))
            let waiting = try await engine.client.schedule("s")
            #expect(waiting.trouble?.contains("A quota is used up: namespace 'default' has 0 open runs") == true)
            #expect(try await engine.client.runs().isEmpty)
            // Room for fewer than are due: they come one after the other.
            try await engine.client.changeQuotas(of: "default", by: World.ada) { $0.openRuns = 3 }
            try await bench.simulation.sleep(for: .minutes(10))
            let runs = try await engine.client.runs(limit: 1_000), info = try await engine.client.schedule("s")
            #expect(runs.count >= 28 && info.trouble == nil)
            #expect(Set(runs.map(\.key)).count == runs.count && bench.most <= 3)
            try await isSound(engine.client)
        }
    }

    @Test func `schedules that are due at once take turns at the rate of their namespace`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) { bench.flow(taking: .seconds(1)) }
            let count = 30
            for number in 0..<count {
                var schedule = try Schedule(.every(.minutes(1)), Flow.self, input: "s")
                schedule.overlap = .allow
                schedule.catchUp = .seconds(86_400)
                try await engine.schedule("s\(number)", schedule, by: World.ada)
            }
            // Half of what they want.
            try await engine.client.changeQuotas(of: "default", by: World.ada) { $0.starts = .init(15, per: .minutes(1)) }
            try await bench.simulation.sleep(for: .hours(1))
            let starts = try await engine.client.runs(limit: 2_000).count
            #expect((850...905).contains(starts), "\(starts)")
            for number in 0..<count {
                let info = try await engine.client.schedule("s\(number)")
                #expect((25...35).contains(info.started), "s\(number): \(info.started)")
            }
        }
    }

    @Test func `a schedule is as fast as the rate of its namespace, and its trigger by hand is refused like a start`()
        async throws
    {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) { bench.flow(taking: .seconds(1)) }
            try await engine.client.changeQuotas(of: "default", by: World.ada) { $0.starts = .init(1, per: .seconds(600)) }
            var schedule = try Schedule(.every(.minutes(1)), Flow.self, input: "s")
            schedule.overlap = .allow
            schedule.catchUp = .seconds(86_400)
            try await engine.schedule("s", schedule, by: World.ada)
            try await bench.simulation.sleep(for: .hours(1))
            let count = try await engine.client.runs(limit: 1_000).count
            #expect((5...7).contains(count), "\(count)")
            let error = await #expect(throws: PerdureError.self) {
                try await engine.client.triggerSchedule("s", overlapping: true, by: World.ada)
            }
            #expect(error?.code == .quotaExceeded && error?.retryAfter != nil)
        }
    }
}
