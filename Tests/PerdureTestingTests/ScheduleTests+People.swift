import Foundation
import Perdure
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Testing

@testable import PerdureEngine

/// What people do with schedules, and what cannot be one.
extension ScheduleTests {
    // MARK: People

    @Test func `a paused schedule starts nothing, and goes on with the next due time`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation), bob = Principal(.human, "bob")
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            try await engine.schedule("s", try Self.every(.minutes(1)), by: World.ada)
            try await simulation.sleep(for: .seconds(90))
            try await client.pauseSchedule("s", note: "the vault is down", by: bob)
            try await client.pauseSchedule("s", note: "another reason", by: World.ada)
            try await simulation.sleep(for: .seconds(200))
            let paused = try await client.schedule("s")
            #expect(paused.pauseNote == "the vault is down" && paused.pausedBy == bob && paused.nextDue == nil)
            try await client.resumeSchedule("s", by: bob)
            try await simulation.sleep(for: .seconds(60))
            #expect(try await Self.dues(client, since: start) == [60, 300])
            #expect(try await client.schedule("s").pausedAt == nil)
        }
    }

    @Test func `a backfill starts what has no run yet, once, one after the other`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            try await simulation.sleep(for: .hours(2) + .minutes(30))
            let from = (start - .hours(3)).date, to = (start + .hours(2)).date
            #expect(
                try await client.dueTimes(ofSchedule: "s", from: from, to: to).map { $0.run != nil } == [
                    false, false, false, false, true, true,
                ])
            for _ in 0..<2 {
                try await client.backfillSchedule("s", from: from, to: to, by: Principal(.human, "bob"))
                try await simulation.sleep(for: .minutes(10))
            }
            #expect(try await client.dueTimes(ofSchedule: "s", from: from, to: to).allSatisfy { $0.run != nil })
            let runs = try await Self.runs(client).dropFirst(2)
            #expect(runs.map { $0.due.duration(since: start) } == (-3...0).map { .hours($0) })
            for run in runs { #expect(run.started["by"]?["id"] == "bob" && run.started["schedule"]?["cause"] == "backfill") }
            for (before, after) in zip(runs, runs.dropFirst()) {
                #expect(before.run.closedAt.map { $0 <= after.run.createdAt } ?? false)
            }
            #expect(try await client.schedule("s").isBackfilling == false)
            try await client.backfillSchedule("s", from: (start - .hours(9)).date, to: to, overlapping: true, by: World.ada)
            try await simulation.sleep(for: .milliseconds(500))
            #expect(try await client.schedule("s").started == 12)
            try await Self.isSound(client)
        }
        #expect(Set(world.log.all).count == 12)
    }

    @Test func `a schedule is triggered beside its due times, unless its run is open`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            _ = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log, taking: .minutes(5)) }
            let client = engine.client, bob = Principal(.human, "bob")
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            try await client.pauseSchedule("s", note: "", by: bob)
            let run = try await client.triggerSchedule("s", by: bob)
            let error = try #require(await thrown { _ = try await client.triggerSchedule("s", by: bob) })
            #expect(error.code == .scheduleBusy && error.message.contains(run.description))
            let other = try await client.triggerSchedule("s", overlapping: true, by: bob)
            #expect(other != run)
            _ = try await engine.result(of: run)
            _ = try await engine.result(of: other)
            _ = try await client.triggerSchedule("s", by: bob)
            let started = try await Self.runs(client).map(\.started)
            #expect(
                started.count == 3 && started.allSatisfy { $0["by"]?["id"] == "bob" && $0["schedule"]?["cause"] == "trigger" })
        }
    }

    @Test func `what says something else under the same name is refused, and changed on purpose`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            let slow = try Self.every(.hours(1)), fast = try Self.every(.minutes(20))
            try await engine.schedule("s", slow, by: World.ada)
            let error = try #require(await thrown { try await engine.schedule("s", fast, by: World.ada) })
            #expect(error.code == .scheduleConflict)
            try await simulation.sleep(for: .minutes(70))
            try await client.changeSchedule("s", to: fast, by: Principal(.human, "bob"))
            try await simulation.sleep(for: .minutes(35))
            #expect(try await Self.dues(client, since: start) == [3_600, 4_800, 6_000])
            #expect(try await client.schedule("s").changedBy == Principal(.human, "bob"))
            try await client.removeSchedule("s")
            try await simulation.sleep(for: .hours(2))
            #expect(try await client.runs().count == 3)
            for call in [
                { try await client.removeSchedule("s") }, { _ = try await client.schedule("s") },
                { _ = try await client.triggerSchedule("s", by: World.ada) },
            ] as [@Sendable () async throws -> Void] {
                #expect(await thrown(call)?.code == .scheduleUnknown)
            }
            // Made again, it starts nothing for times that have had their run.
            try await engine.schedule("s", fast, by: World.ada)
            try await client.backfillSchedule("s", from: start.date, to: (start + .seconds(6_000)).date, by: World.ada)
            try await simulation.sleep(for: .minutes(1))
            #expect(try await client.schedule("s").started == 3)
            #expect(try await Set(Self.dues(client, since: start)) == [0, 1_200, 2_400, 3_600, 4_800, 6_000])
        }
    }

    @Test func `who has set what a schedule starts cannot approve what its runs do`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            _ = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) {
                Flow { input, context in
                    try await context.act(
                        "pay", input: input, .idempotent(retention: .forever), approval: .required(by: .anyone, within: .days(1)),
                        irreversible: "money"
                    ) { _, _ in }
                    return input
                }
            }
            try await engine.schedule("s", try Self.every(.hours(1)), by: World.ada)
            try await simulation.sleep(for: .minutes(61))
            let run = try #require(try await Self.runs(engine.client).first).run.id
            let approval = try #require(try await engine.client.pendingApprovals(of: run).first)
            let error = await thrown { try await engine.client.decide(approval, approve: true, by: World.ada) }
            #expect(error?.code == .approvalNotPermitted)
            try await engine.client.decide(approval, approve: true, by: Principal(.human, "bob"))
            #expect(try await engine.result(of: run) == Data(#""a""#.utf8))
        }
    }

    // MARK: The rest

    @Test func `jitter spreads the starts, each at the same place every time and before the next due time`() async throws {
        var lives: [[Duration]] = []
        for seed in [1, 2] as [UInt64] {
            let simulation = Simulation(seed: seed), world = World(simulation)
            lives.append(
                try await simulation.run {
                    let start = try await Self.start(simulation)
                    let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }
                    let schedule = try Self.every(.minutes(1)) { $0.jitter = .hours(1) }
                    try await engine.schedule("s", schedule, by: World.ada)
                    try await simulation.sleep(for: .minutes(31))
                    let runs = try await Self.runs(engine.client).prefix(30)
                    #expect(runs.map { $0.due.duration(since: start) } == (1...30).map { .minutes($0) })
                    return runs.map { Timestamp($0.run.createdAt).duration(since: $0.due) }
                })
        }
        #expect(lives[0].allSatisfy { $0 >= .zero && $0 < .minutes(1) })
        #expect(Set(lives[0]).count > 20)
        #expect(lives[0] == lives[1])
    }

    @Test func `a schedule of a later release holds up no other and is left as it is`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }
            let key = ScheduleKey(namespace: "default", id: "later")
            let row = ScheduleRow(
                key: key, version: 1, dueAt: start, document: #"{"due":\#(start.microseconds),"format":2}"#)
            _ = try await engine.client.deliver(.schedule(ScheduleChange(key, on: nil, to: row)))
            try await engine.schedule("s", try Self.every(.minutes(1)), by: World.ada)
            try await simulation.sleep(for: .seconds(190))
            #expect(try await Self.dues(engine.client, since: start) == [60, 120, 180])
            #expect(try await engine.client.store.schedules(.one(key)) == [row])
            #expect(world.complaints.all == ["a schedule cannot be followed here"])
            #expect(await thrown { _ = try await engine.client.schedule("later") }?.code == .storeTooNew)
        }
    }

    @Test func `what cannot be a schedule is refused with its reason`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }, client = engine.client
            func code(_ id: String = "s", _ change: (inout Schedule) -> Void) async throws -> PerdureError.Code? {
                let schedule = try Self.every(.hours(1), change)
                return await thrown { try await client.schedule(id, schedule, by: World.ada) }?.code
            }
            #expect(try await code("not a name") { _ in } == .nameInvalid)
            #expect(try await code { $0.workflow = "" } == .nameInvalid)
            #expect(try await code { $0.version = "" } == .nameInvalid)
            #expect(try await code { $0.labels = ["": "x"] } == .labelInvalid)
            #expect(try await code { $0.input = Data("{".utf8) } == .inputUndecodable)
            #expect(try await code { $0.input = Data("\"\(String(repeating: "x", count: 70_000))\"".utf8) } == .payloadTooLarge)
            #expect(try await code { $0.catchUp = .zero } == .scheduleInvalid)
            #expect(try await code { $0.jitter = .seconds(-1) } == .scheduleInvalid)
            let unknown = Schedule(try .every(.hours(1)), workflow: "nothing", input: Data("1".utf8))
            #expect(await thrown { try await engine.schedule("s", unknown, by: World.ada) }?.code == .workflowUnknown)
            let unreadable = Schedule(try .every(.hours(1)), workflow: "flow", input: Data("1".utf8))
            #expect(await thrown { try await engine.schedule("s", unreadable, by: World.ada) }?.code == .inputUndecodable)
            #expect(try await client.schedules().isEmpty)
        }
    }
}

/// The error that the body ends with.
private func thrown(_ body: @Sendable () async throws -> Void) async -> PerdureError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? PerdureError
    }
}
