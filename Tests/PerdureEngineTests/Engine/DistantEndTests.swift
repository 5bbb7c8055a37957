import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureMemory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

/// Looks at what other nodes have done, where the store does not always answer.
@Suite(.timeLimit(.minutes(5))) struct DistantEndTests {
    private static let pause = Duration.milliseconds(250)

    /// Two nodes over one store in memory, one of which runs what the other one waits for.
    private struct Pair {
        let clock = ManualClock(), pulse = Pulse(), script = StoreScript()
        let logs: LogRecorder
        let worker: EngineProcess
        let waiter: EngineProcess
        let client: Client

        init() async throws {
            let clock = clock
            // So long that nobody has to renew while time moves here.
            let database = MemoryDatabase(ownership: .leases(.seconds(86_400))) { clock.now() }
            logs = LogRecorder(pulse)
            client = try await Client(.memory(database))
            worker = try await Self.node(database, clock, pulse, StoreScript(), LogRecorder(pulse)) {
                Flow { _, context in try await context.signal(Poke.self) }
            }
            waiter = try await Self.node(database, clock, pulse, script, logs) { NewerFlow { input, _ in input } }
            for process in [worker, waiter] { process.start(pulse) }
        }

        private static func node(
            _ database: MemoryDatabase, _ clock: ManualClock, _ pulse: Pulse, _ script: StoreScript, _ logs: LogRecorder,
            @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow]
        ) async throws -> EngineProcess {
            let processClock = ProcessClock(clock, pulse: pulse), opened = Mutex<WatchedStore?>(nil)
            let store = StoreConfiguration { role in
                let store = WatchedStore(try database.open(role), clock: processClock, pulse: pulse, script: script)
                opened.withLock { $0 = store }
                return store
            }
            var configuration = EngineConfiguration()
            configuration.clock = processClock
            configuration.threads = 2
            configuration.verificationRate = 0
            var logger = Logger(label: "perdure.test") { _ in logs }
            logger.logLevel = .debug
            let engine = try await Engine(store: store, configuration: configuration, logger: logger, workflows: workflows)
            return EngineProcess(engine: engine, store: try #require(opened.withLock { $0 }), clock: processClock)
        }

        /// Lets the pauses between looks pass, one after the other, until the condition holds.
        func look(until condition: () async throws -> Bool) async throws {
            try await pulse.until {
                if try await condition() { return true }
                if waiter.clock.isPausing(for: DistantEndTests.pause) { clock.advance(by: DistantEndTests.pause) }
                Task { [pulse] in pulse.ring() }
                return false
            }
        }

        func end() async throws {
            for process in [worker, waiter] { process.shutDown() }
            try await pulse.until { worker.hasEnded && waiter.hasEnded }
            #expect(try await client.store.audit() == [])
            await client.close()
        }
    }

    @Test func `a look that fails is made again, and the wait ends`() async throws {
        let pair = try await Pair(), pulse = pair.pulse, looks = Mutex(0), hasEnded = Mutex(false)
        let errors: [StoreError] = [.unavailable("busy"), .corrupt("unreadable"), .outcomeUnknown("lost"), .unavailable("busy")]
        pair.script.set { call in
            guard case .ended = call else { return .apply }
            let number = looks.withLock { looks in
                looks += 1
                return looks - 1
            }
            return number < errors.count ? .fail(errors[number]) : .apply
        }
        let run = try await pair.worker.engine.start(Flow.self, input: "x", by: EngineHarness.ada).id
        let waiter = pair.waiter.engine
        let waiting = Task {
            defer {
                hasEnded.withLock { $0 = true }
                pulse.ring()
            }
            return try await waiter.result(of: run)
        }
        try await pulse.until { pair.waiter.clock.isPausing(for: Self.pause) }
        try await pair.client.signal(run, Poke.self, "go", by: EngineHarness.bob)
        try await pulse.until { try await pair.client.record(run).state == .completed }
        #expect(!hasEnded.withLock { $0 })
        try await pair.look { hasEnded.withLock { $0 } }
        #expect(String(decoding: try await waiting.value, as: UTF8.self) == "\"go\"")
        #expect(looks.withLock { $0 } == errors.count + 1)
        // It is said once, and not four times a second.
        #expect(pair.logs.lines.count { $0.contains("what other nodes have done") } == 1)
        try await pair.end()
    }

    @Test func `more waits than one look asks for are looked for in turns`() async throws {
        let clock = ManualClock(), pulse = Pulse(), script = StoreScript(), processClock = ProcessClock(clock, pulse: pulse)
        let database = MemoryDatabase(ownership: .leases(.seconds(60))) { clock.now() }
        let store = WatchedStore(try database.open(.client), clock: processClock, pulse: pulse, script: script)
        let scheduler = Scheduler(clock: processClock)
        let waiters = RunWaiters(
            lookout: Lookout(store: store, scheduler: scheduler, logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() })
        )
        let asked = Mutex<[[RunWait]]>([])
        script.set { call in
            if case .ended(let waits) = call { asked.withLock { $0.append(waits) } }
            return .fail(.unavailable("nothing is told"))
        }
        let runs = (0..<1_500).map { RunID(milliseconds: 1, random: (1, UInt64($0))) }
        let tasks = runs.map { run in Task { await waiters.wait(for: run) { false } } }
        while waiters.count < runs.count {
            await Task.yield()
            try Task.checkCancellation()
        }
        for looks in 1...3 {
            try await pulse.until { processClock.isPausing(for: Self.pause) }
            clock.advance(by: Self.pause)
            try await pulse.until { asked.withLock { $0.count } == looks }
        }
        let looks = asked.withLock { $0 }
        #expect(looks.map(\.count) == [1_000, 1_000, 1_000])
        for pair in [looks[0] + looks[1], looks[1] + looks[2]] { #expect(Set(pair.map(\.run)).count == 1_500) }
        waiters.close()
        for task in tasks { #expect(await task.value == false) }
        await scheduler.stop()
    }
}
