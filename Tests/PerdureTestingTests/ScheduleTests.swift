import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureTesting
import Synchronization
import Testing

@testable import PerdureEngine

/// Schedules in a time of their own: engines that fire them, die and race.
@Suite(.timeLimit(.minutes(10))) struct ScheduleTests {
    /// A run that takes so long between its two effects.
    @WorkflowBuilder static func workflows(_ log: Lines, taking time: Duration = .seconds(1)) -> [RegisteredWorkflow] {
        Flow { input, context in
            try await context.act("begin", input: input, .idempotent(retention: .forever), irreversible: "x") { _, step in
                log.add(step.idempotencyKey)
            }
            try await context.sleep(for: time)
            return input
        }
    }

    static func every(_ interval: Duration, _ change: (inout Schedule) -> Void = { _ in }) throws -> Schedule {
        var schedule = try Schedule(.every(interval), Flow.self, input: "a")
        change(&schedule)
        return schedule
    }

    /// What each run was started for, the oldest first, as seconds after a moment.
    static func dues(_ client: Client, of id: String = "s", since start: Timestamp) async throws -> [Int64] {
        try await runs(client, of: id).map { $0.due.duration(since: start).components.seconds }
    }

    static func runs(
        _ client: Client, of id: String = "s"
    ) async throws -> [(run: RunInfo, due: Timestamp, started: JSONObject)] {
        var found: [(run: RunInfo, due: Timestamp, started: JSONObject)] = []
        for run in try await client.runs(workflow: "flow", limit: 100_000).reversed() {
            let first = try #require(try await client.history(of: run.id).first).attributes.object()
            guard first["schedule"]?["id"]?.stringValue == id else { continue }
            found.append((run, Timestamp(microseconds: first["schedule"]?["due"]?.integerValue ?? 0), first))
        }
        return found
    }

    static func isSound(_ client: Client) async throws { #expect(try await client.store.audit() == []) }

    /// A time on which every interval of the tests begins.
    static func start(_ simulation: Simulation) async throws -> Timestamp {
        let day: Int64 = 86_400_000_000
        let next = Timestamp(microseconds: (simulation.now.microseconds / day + 1) * day)
        try await simulation.sleep(for: next.duration(since: simulation.now))
        return simulation.now
    }

    // MARK: Due times

    @Test func `each due time starts one run when it comes, and the run says what it was started for`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }
            var schedule = try Schedule(.cron("0 */6 * * *"), Flow.self, input: "a")
            schedule.labels = ["team": "ops"]
            #expect(try await engine.schedule("s", schedule, by: World.ada))
            #expect(try await !engine.schedule("s", schedule, by: Principal(.human, "bob")))
            try await simulation.sleep(for: .days(2) + .hours(1))
            let runs = try await Self.runs(engine.client)
            #expect(runs.map { $0.due.duration(since: start) } == (1...8).map { .hours(6 * $0) })
            for run in runs {
                #expect(run.run.createdAt == run.due.date)
                #expect(run.run.key == "schedule:s:\(run.due)")
                #expect(run.run.state == "completed")
                #expect(run.started["by"]?["kind"] == "timer" && run.started["by"]?["id"] == "ada")
                #expect(run.started["schedule"]?["cause"] == "time")
                #expect(try await engine.client.labels(of: run.run.id) == ["team": "ops"])
            }
            let info = try await engine.client.schedule("s")
            #expect(info.started == 8 && info.skipped == 0 && info.missed == 0)
            #expect(info.lastRun?.run == runs.last?.run.id)
            #expect(info.nextDue == (start + .hours(54)).date)
            #expect(info.createdBy == World.ada && info.trouble == nil)
            try await Self.isSound(engine.client)
        }
        #expect(world.log.all.count == 8)
    }

    @Test func `three years of a weekly schedule pass with a run for each week`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }
            let spec = try ScheduleSpec.cron("30 2 * * SUN", in: "Europe/Berlin")
            let begin = simulation.now
            try await engine.schedule("s", try Schedule(spec, Flow.self, input: "a"), by: World.ada)
            try await simulation.sleep(for: .days(3 * 365))
            let expected = spec.times(from: begin.date, count: 200).filter { $0 < simulation.now.date }
            #expect(try await Self.runs(engine.client).map(\.due.date) == expected)
            #expect(expected.count > 150)
        }
    }

    @Test func `many schedules that are due at once all start, and none is forgotten`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            _ = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log) }
            for number in 0..<1_000 { try await engine.schedule("s\(number)", try Self.every(.days(1)), by: World.ada) }
            try await simulation.sleep(for: .days(1) + .minutes(1))
            #expect(try await engine.client.runs(limit: 10_000).filter { $0.state == "completed" }.count == 1_000)
            try await Self.isSound(engine.client)
        }
        #expect(Set(world.log.all).count == 1_000)
    }

    // MARK: Crashes and races

    /// Lets the process die when so many turns were taken, and brings up another one. Returns what was started, and whether it died.
    private static func crash(after turns: Int, seed: UInt64, _ overlap: Schedule.Overlap) async throws -> (
        dues: [Int64], died: Bool
    ) {
        let simulation = Simulation(seed: seed), world = World(simulation)
        return try await simulation.run {
            let start = try await Self.start(simulation)
            let first = simulation.process("first"), second = simulation.process("second")
            var engine = try await world.open(first) { Self.workflows(world.log, taking: .seconds(90)) }
            try await engine.schedule("s", try Self.every(.minutes(1)) { $0.overlap = overlap }, by: World.ada)
            let before = simulation.trace.turns
            simulation.onTurn { _ in if simulation.trace.turns == before + turns { first.crash() } }
            try await simulation.sleep(for: .minutes(4) + .seconds(30))
            let died = !first.isAlive
            simulation.onTurn(nil)
            if !died { await first.shutDown() }
            engine = try await world.open(second) { Self.workflows(world.log, taking: .seconds(90)) }
            try await simulation.sleep(for: .minutes(15))
            try await engine.client.pauseSchedule("s", note: "enough", by: World.ada)
            try await simulation.sleep(for: .minutes(5))
            try await Self.isSound(engine.client)
            let dues = try await Self.dues(engine.client, since: start)
            #expect(Set(world.log.all).count == dues.count)
            return (dues, died)
        }
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `whenever the process dies that fires a schedule, each due time starts one run all the same`(seed: UInt64) async throws {
        var turns = 1, deaths = 0
        while true {
            let life = try await Self.crash(after: turns, seed: seed, .allow)
            #expect(life.dues == (1...19).map { 60 * $0 }, "after \(turns) turns")
            if !life.died { break }
            deaths += 1
            turns += 9
        }
        #expect(deaths > 10)
    }

    @Test func `whenever it dies, a queue keeps its order and loses nothing`() async throws {
        var turns = 1, deaths = 0
        while true {
            let life = try await Self.crash(after: turns, seed: 3, .queue)
            // Each run takes a minute and a half, so that the queue grows; what has begun is a beginning of the due times.
            #expect(life.dues == (1...life.dues.count).map { 60 * Int64($0) }, "after \(turns) turns")
            #expect(life.dues.count >= 10, "after \(turns) turns")
            if !life.died { break }
            deaths += 1
            turns += 29
        }
        #expect(deaths > 5)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `of several engines one fires each due time`(seed: UInt64) async throws {
        let simulation = Simulation(seed: seed), world = World(simulation, ownership: .leases(.seconds(6)))
        try await simulation.run {
            let start = try await Self.start(simulation)
            var engines: [Engine] = []
            for name in ["one", "two", "three"] {
                engines.append(try await world.open(simulation.process(name)) { Self.workflows(world.log) })
            }
            for id in ["s", "t"] { try await engines[0].schedule(id, try Self.every(.seconds(10)), by: World.ada) }
            try await simulation.sleep(for: .seconds(65))
            for id in ["s", "t"] {
                #expect(try await Self.dues(engines[1].client, of: id, since: start) == [10, 20, 30, 40, 50, 60])
            }
            try await Self.isSound(engines[2].client)
        }
        #expect(world.log.all.count == 12 && Set(world.log.all).count == 12)
    }

    /// Refuses one commit of a schedule, or loses its answer.
    private final class Fault: StoreGate {
        private let number: Int, isDone: Bool
        private let count = Mutex(0)

        init(at number: Int, isDone: Bool) {
            self.number = number
            self.isDone = isDone
        }

        func willCall(_ call: StaticString, by process: SimulatedProcess) {}

        func commit(
            _ items: [CommitItem], _ base: any Store, by process: SimulatedProcess
        ) async throws(StoreError) -> [CommitResult] {
            let isMeant = items.contains { if case .schedule = $0 { true } else { false } }
            let isHere = count.withLock { count in
                if isMeant { count += 1 }
                return isMeant && count == number
            }
            guard isHere else { return try await base.commit(items) }
            guard isDone else { throw .unavailable("by plan") }
            _ = try await base.commit(items)
            throw .outcomeUnknown("by plan")
        }
    }

    @Test(arguments: 1...6, [false, true])
    func `a commit that fails, or whose answer is lost, leaves out no due time and repeats none`(
        number: Int, isDone: Bool
    ) async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let process = simulation.process("one", gate: Fault(at: number, isDone: isDone))
            let engine = try await world.open(process) { Self.workflows(world.log) }
            // Before the engine has begun it is the caller who asks again.
            try await simulation.sleep(for: .seconds(1))
            try await engine.schedule("s", try Self.every(.minutes(1)), by: World.ada)
            try await simulation.sleep(for: .seconds(310))
            #expect(try await Self.dues(engine.client, since: start) == [60, 120, 180, 240, 300])
            let info = try await engine.client.schedule("s")
            #expect(info.started == 5 && info.skipped == 0 && info.missed == 0)
            try await Self.isSound(engine.client)
        }
        #expect(Set(world.log.all).count == 5)
    }

    @Test func `an engine that hosts nothing fires schedules for those that do`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation, ownership: .leases(.seconds(6)))
        try await simulation.run {
            let start = try await Self.start(simulation)
            let host = try await world.open(simulation.process("host")) { Self.workflows(world.log) }
            let idle = simulation.process("idle")
            let other = try await world.open(idle) {}
            try await other.client.schedule("s", try Self.every(.seconds(10)), by: World.ada)
            try await simulation.sleep(for: .seconds(35))
            #expect(try await Self.dues(host.client, since: start) == [10, 20, 30])
        }
    }

    @Test func `what nobody hosts waits with a word of why, and starts when somebody does`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let first = simulation.process("first")
            var engine = try await world.open(first) {}
            try await engine.client.schedule("s", try Self.every(.seconds(10)) { $0.overlap = .allow }, by: World.ada)
            try await simulation.sleep(for: .seconds(15))
            #expect(try await engine.client.schedule("s").trouble?.contains("'flow'") == true)
            #expect(try await engine.client.runs().isEmpty)
            await first.shutDown()
            engine = try await world.open(simulation.process("second")) { Self.workflows(world.log) }
            try await simulation.sleep(for: .seconds(44))
            #expect(try await Self.dues(engine.client, since: start) == [10, 20, 30, 40, 50])
            #expect(try await engine.client.schedule("s").trouble == nil)
        }
    }

    // MARK: Late

    @Test(arguments: [
        (Schedule.Overlap.allow, [60, 480, 540, 600, 660]), (.skip, [60, 480, 660]), (.queue, [60, 480, 540, 600, 660]),
    ])
    func `after an outage the due times of the catch-up window are started, and the others are missed`(
        overlap: Schedule.Overlap, expected: [Int64]
    ) async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let first = simulation.process("first")
            var engine = try await world.open(first) { Self.workflows(world.log) }
            let schedule = try Self.every(.minutes(1)) {
                $0.overlap = overlap
                $0.catchUp = .seconds(150)
            }
            try await engine.schedule("s", schedule, by: World.ada)
            try await simulation.sleep(for: .seconds(90))
            await first.shutDown()
            // 120 to 600 come while nobody is there; 480 is two minutes late at 605.
            try await simulation.sleep(for: (start + .seconds(605)).duration(since: simulation.now))
            engine = try await world.open(simulation.process("second")) { Self.workflows(world.log) }
            try await simulation.sleep(for: .seconds(70))
            #expect(try await Self.dues(engine.client, since: start) == expected)
            let info = try await engine.client.schedule("s")
            #expect(info.missed == 6)
            #expect(info.skipped == (overlap == .skip ? 2 : 0))
            try await Self.isSound(engine.client)
        }
    }

    @Test func `an outage of years is passed over in moments`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let first = simulation.process("first")
            var engine = try await world.open(first) { Self.workflows(world.log) }
            try await engine.schedule("s", try Self.every(.seconds(1)) { $0.catchUp = .seconds(10) }, by: World.ada)
            var cron = try Schedule(.cron("* * * * *", in: "Europe/Berlin"), Flow.self, input: "a")
            cron.catchUp = .seconds(10)
            try await engine.schedule("c", cron, by: World.ada)
            await first.shutDown()
            try await simulation.sleep(for: .days(60))
            engine = try await world.open(simulation.process("second")) { Self.workflows(world.log) }
            try await simulation.sleep(for: .seconds(5))
            #expect(try await engine.client.schedule("s").missed > 60 * 86_000)
            #expect(try await engine.client.schedule("c").missed > 60 * 1_430)
        }
    }

    // MARK: Overlap

    @Test(arguments: [
        (Schedule.Overlap.skip, [60, 240, 420], 5), (.queue, [60, 120, 180, 240], 0),
        (.allow, [60, 120, 180, 240, 300, 360, 420, 480], 0),
    ])
    func `a due time meets an open run as the policy says`(
        overlap: Schedule.Overlap, expected: [Int64], skipped: Int
    ) async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) { Self.workflows(world.log, taking: .seconds(130)) }
            try await engine.schedule("s", try Self.every(.minutes(1)) { $0.overlap = overlap }, by: World.ada)
            try await simulation.sleep(for: .seconds(500))
            #expect(try await Self.dues(engine.client, since: start) == expected)
            let info = try await engine.client.schedule("s")
            #expect(info.skipped == skipped)
            if overlap == .queue {
                #expect(info.waiting.map { Timestamp($0).duration(since: start) } == (5...8).map { .minutes($0) })
            }
            if overlap != .allow {
                // Never two at once.
                let runs = try await Self.runs(engine.client).map(\.run)
                if overlap == .queue { #expect(zip(runs, runs.dropFirst()).allSatisfy { $0.closedAt == $1.createdAt }) }
                for (before, after) in zip(runs, runs.dropFirst()) {
                    #expect(before.closedAt.map { $0 <= after.createdAt } ?? false)
                }
            }
        }
    }

    @Test func `an open run is cancelled for the next one, which begins when it has undone what it did`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            let start = try await Self.start(simulation)
            let process = simulation.process("one")
            let engine = try await world.open(process) {
                Flow { input, context in
                    try await context.step("hold", input: input, .idempotent(retention: .forever)) { text, _ in
                        world.log.add("hold")
                        return text
                    } undo: { _, _ in
                        try await process.sleep(for: .seconds(5))
                        world.log.add("let go")
                    }
                    try await context.sleep(for: .hours(1))
                    return input
                }
            }
            try await engine.schedule("s", try Self.every(.minutes(1)) { $0.overlap = .cancelOther }, by: World.ada)
            try await simulation.sleep(for: .seconds(210))
            let runs = try await Self.runs(engine.client)
            #expect(runs.map { $0.due.duration(since: start) } == [.minutes(1), .minutes(2), .minutes(3)])
            #expect(runs.map(\.run.state) == ["cancelled", "cancelled", "waiting"])
            #expect(world.log.all == ["hold", "let go", "hold", "let go", "hold"])
            for (before, after) in zip(runs, runs.dropFirst()) {
                #expect(before.run.closedAt.map { $0 <= after.run.createdAt } ?? false)
            }
        }
    }

    @Test func `a run that was continued as another one is open until the last of them ends`() async throws {
        let simulation = Simulation(seed: 1), world = World(simulation)
        try await simulation.run {
            _ = try await Self.start(simulation)
            let engine = try await world.open(simulation.process("one")) {
                Flow { input, context in
                    try await context.sleep(for: .seconds(50))
                    if input.count < 4 { try await context.continueAsNew(Flow.self, input: input + "a") }
                    return input
                }
            }
            try await engine.schedule("s", try Self.every(.minutes(1)), by: World.ada)
            // The first one takes 200 seconds, in four parts.
            try await simulation.sleep(for: .seconds(310))
            let info = try await engine.client.schedule("s")
            #expect(info.started == 2 && info.skipped == 3)
        }
    }
}
