import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureMemory
import PerdureSQLite
import PerdureStore
import ServiceLifecycle
import Synchronization
import Testing

/// One file, or one store in memory, and the engines that live and die over it. Time is moved by hand, and nothing waits for anything but
/// events.
final class EngineHarness: Sendable {
    let clock = ManualClock()
    let pulse = Pulse()
    let script = StoreScript()
    let logs: LogRecorder
    let effects: Effects
    let path: String

    private struct State {
        var process: EngineProcess?
        var observer: Client?
        var gates: [StepGate] = []
    }

    private let folder: URL
    private let place: StoreConfiguration
    private let state = Mutex(State())

    init(inMemory: Bool = false) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "perdure-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appending(path: "engine.db").path
        let now = { @Sendable [clock] in clock.now() }
        var options = SQLiteOptions()
        options.clock = now
        // Both are measured in real time, of which a busy machine may take much.
        options.transactionLimit = .seconds(60)
        options.busyLimit = .seconds(120)
        place = inMemory ? .memory(MemoryDatabase(clock: now)) : .sqlite(path, options: options)
        effects = Effects(pulse)
        logs = LogRecorder(pulse)
    }

    static let ada = Principal(.human, "ada")
    static let bob = Principal(.human, "bob")

    // MARK: Engines

    /// Opens the file with an engine that runs until `stop` or `crash`.
    @discardableResult
    func open(
        build: String = "build-1", configure: (inout EngineConfiguration) -> Void = { _ in },
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow], @StepBuilder steps: () throws -> [RegisteredStep] = { [] }
    ) async throws -> Engine {
        let process = try await make(build: build, configure: configure, workflows: workflows, steps: steps)
        process.start(pulse)
        return process.engine
    }

    /// Opens the file with an engine that does not run yet.
    func make(
        build: String = "build-1", configure: (inout EngineConfiguration) -> Void = { _ in },
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow], @StepBuilder steps: () throws -> [RegisteredStep] = { [] }
    ) async throws -> EngineProcess {
        try #require(state.withLock { $0.process } == nil, "the file has an engine already")
        let processClock = ProcessClock(clock, pulse: pulse), pulse = pulse, script = script, place = place
        let opened = Mutex<WatchedStore?>(nil)
        let store = StoreConfiguration { role in
            let store = WatchedStore(try await place.open(role), clock: processClock, pulse: pulse, script: script)
            opened.withLock { $0 = store }
            return store
        }
        var configuration = EngineConfiguration()
        configuration.clock = processClock
        configuration.build = build
        configuration.threads = 2
        // Tests of other things count what is read.
        configuration.verificationRate = 0
        configure(&configuration)
        let recorder = logs
        var logger = Logger(label: "perdure.test") { _ in recorder }
        logger.logLevel = .debug
        let engine = try await Engine(
            store: store, configuration: configuration, logger: logger, workflows: workflows, steps: steps)
        let process = EngineProcess(engine: engine, store: try #require(opened.withLock { $0 }), clock: processClock)
        state.withLock { $0.process = process }
        return process
    }

    var engine: Engine {
        get throws { try #require(state.withLock { $0.process }, "no engine is open").engine }
    }

    /// Shuts the engine down gracefully and waits until it has ended.
    func stop() async throws {
        guard let process = state.withLock({ $0.process }) else { return }
        process.shutDown()
        try await ended(process)
        if let failure = process.failure { throw failure }
    }

    /// Closes an engine that does not run.
    func close() async throws {
        let process = try #require(state.withLock { $0.process })
        await process.engine.close()
        state.withLock { $0.process = nil }
    }

    /// Asks the engine to end, without waiting for that.
    func beginStop() throws { try #require(state.withLock { $0.process }).shutDown() }

    /// Ends the engine as a kill of its process would: nothing it does from here on reaches the file, and its runs stay owned.
    func crash() async throws {
        guard let process = state.withLock({ $0.process }) else { return }
        process.store.die()
        process.cancel()
        // Whatever it waits for comes to its end, though nothing comes of it.
        try await pulse.until {
            if process.hasEnded { return true }
            process.clock.end()
            Task { [pulse] in pulse.ring() }
            return false
        }
        state.withLock { $0.process = nil }
    }

    /// Asks the engine to end and lets the grace pass, which hangs in a step. Time moves once: attempts have limits too.
    func stop(after grace: Duration) async throws {
        try beginStop()
        try await until { self.logs.lines.contains("engine drains") }
        clock.advance(by: grace)
        _ = try await untilEnded()
    }

    /// Waits until the engine makes a pause of this length. It begins after what leads to it is logged or on disk, and time that has passed
    /// before that is not counted.
    func untilPausing(for length: Duration) async throws {
        try await until { try #require(self.state.withLock { $0.process }, "no engine is open").clock.isPausing(for: length) }
    }

    /// Moves time on, again and again, until the engine that was asked to end has ended. For engines that try something again meanwhile,
    /// and have no attempt under way whose time could be up.
    func advanceUntilEnded(by duration: Duration) async throws {
        try await until {
            guard let process = self.state.withLock({ $0.process }), !process.hasEnded else { return true }
            self.clock.advance(by: duration)
            // Whatever the engine scheduled for later in answer to this has to be looked at again.
            Task { [pulse = self.pulse] in pulse.ring() }
            return false
        }
        state.withLock { $0.process = nil }
    }

    /// Moves time on, again and again, until the condition holds: far ahead of an engine that is slow to answer. The time of an attempt
    /// that is under way meanwhile would be up by chance, if it is short; there time has to move once, or only while the run waits.
    func advanceUntil(by duration: Duration, _ condition: () async throws -> Bool) async throws {
        try await until {
            if try await condition() { return true }
            self.clock.advance(by: duration)
            // Whatever the engine scheduled for later in answer to this has to be looked at again.
            Task { [pulse = self.pulse] in pulse.ring() }
            return false
        }
    }

    /// Lets time pass while the run is given back and waits, until the condition holds.
    func advance(
        by duration: Duration, whileWaiting run: RunID, until condition: () async throws -> Bool
    ) async throws {
        try await until {
            if try await condition() { return true }
            if try await self.record(run).state == .waiting { self.clock.advance(by: duration) }
            // Whatever the engine scheduled for later in answer to this has to be looked at again.
            Task { [pulse = self.pulse] in pulse.ring() }
            return false
        }
    }

    /// Waits until the engine has ended by itself.
    func untilEnded() async throws -> (any Error)? {
        guard let process = state.withLock({ $0.process }) else { return nil }
        try await ended(process)
        return process.failure
    }

    /// Whether the script has killed the engine.
    var isDead: Bool { state.withLock { $0.process }?.store.isDoomed ?? false }

    private func ended(_ process: EngineProcess) async throws {
        try await pulse.until { process.hasEnded }
        state.withLock { $0.process = nil }
    }

    /// A gate that is opened at the end at the latest.
    func gate(isOpen: Bool = false) -> StepGate {
        let gate = StepGate(pulse, isOpen: isOpen)
        state.withLock { $0.gates.append(gate) }
        return gate
    }

    // MARK: Runs

    /// Sees the file from outside, also while no engine is open.
    func observer() async throws -> Client {
        if let observer = state.withLock({ $0.observer }) { return observer }
        let observer = try await Client(place)
        state.withLock { $0.observer = observer }
        return observer
    }

    func record(_ run: RunID) async throws -> RunRecord { try await observer().record(run) }
    func history(_ run: RunID) async throws -> [Event] { try await observer().history(of: run) }

    /// The history as lines of kind and subject.
    func lines(_ run: RunID) async throws -> [String] {
        try await history(run).map { $0.subject.isEmpty ? $0.kind.rawValue : "\($0.kind.rawValue) \($0.subject)" }
    }

    func count(_ line: String, in run: RunID) async throws -> Int { try await lines(run).count { $0 == line } }

    /// The attributes of the last event of this kind.
    func attributes(_ kind: EventKind, of run: RunID) async throws -> JSONObject {
        try #require(try await history(run).last { $0.kind == kind }, "there is no \(kind.rawValue)").attributes.object()
    }

    func until(_ run: RunID, is states: RunState...) async throws {
        try await pulse.until { states.contains(try await self.record(run).state) }
    }

    func until(_ run: RunID, has line: String, times: Int = 1) async throws {
        try await pulse.until { try await self.count(line, in: run) >= times }
    }

    func until(_ condition: () async throws -> Bool) async throws { try await pulse.until(condition) }

    // MARK: The end

    func finish() async throws {
        for gate in state.withLock({ $0.gates }) { gate.open() }
        script.set(nil)
        if isDead { try await crash() } else { try await stop() }
        let observer = try await observer()
        let complaints = try await observer.store.audit()
        #expect(complaints.isEmpty)
        for record in try await observer.store.runs(RunFilter(limit: 10_000))
        where record.state != .quarantined && record.tombstone == nil {
            let events = try await observer.history(of: record.id)
            let start = ChainHead.start(namespace: record.namespace, run: record.id.description)
            #expect(throws: Never.self) { try EventChain.verify(events, run: record.id.description, from: start) }
            #expect(StateContinuity(events).problems == [])
        }
    }

    /// What a failed test prints.
    func describe() async -> String {
        var text = ""
        if let process = state.withLock({ $0.process }) {
            text +=
                "the engine \(process.store.isDoomed ? "was killed" : "lives") and has \(process.hasEnded ? "ended" : "not ended")\n"
        }
        text += "the last it said: \(logs.lines.suffix(12))\n"
        do {
            let observer = try await observer()
            for record in try await observer.store.runs(RunFilter(limit: 5)) {
                text += "\(record.workflow) \(record.id): \(record.state.rawValue) \(record.note ?? "")\n"
                for row in try await observer.store.inbox(run: record.number) {
                    text += "  unread \(row.delivery.kind) \(row.delivery.name)\n"
                }
                for event in try await observer.history(of: record.id) {
                    text += "  \(event.seq) \(event.kind.rawValue) \(event.subject) \(event.attributes)\n"
                }
            }
        } catch {
            text += "no history can be read: \(error)"
        }
        return text
    }

    func remove() async {
        for gate in state.withLock({ $0.gates }) { gate.open() }
        await state.withLock { $0.observer }?.close()
        try? FileManager.default.removeItem(at: folder)
    }
}

/// Gives the body a file of its own, or a store in memory, and checks afterwards that the store is sound and every chain holds.
func withEngines(inMemory: Bool = false, _ body: (EngineHarness) async throws -> Void) async throws {
    let harness = try EngineHarness(inMemory: inMemory)
    do {
        try await body(harness)
        try await harness.finish()
    } catch {
        let text = await harness.describe()
        await harness.remove()
        Issue.record("\(error)\n\(text)")
        return
    }
    await harness.remove()
}

/// One engine, from its start to its end or death.
final class EngineProcess: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var group: ServiceGroup?
        var hasEnded = false
        var failure: (any Error)?
    }

    let engine: Engine
    let store: WatchedStore
    let clock: ProcessClock
    private let state = Mutex(State())

    init(engine: Engine, store: WatchedStore, clock: ProcessClock) {
        self.engine = engine
        self.store = store
        self.clock = clock
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }
    var failure: (any Error)? { state.withLock { $0.failure } }

    func start(_ pulse: Pulse) {
        let configuration = ServiceGroupConfiguration(
            services: [.init(service: engine, successTerminationBehavior: .ignore)],
            logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() })
        let group = ServiceGroup(configuration: configuration)
        let task = Task { [self] in
            do {
                try await group.run()
            } catch {
                state.withLock { $0.failure = error }
            }
            state.withLock { $0.hasEnded = true }
            pulse.ring()
        }
        state.withLock { state in
            state.group = group
            state.task = task
        }
    }

    func shutDown() {
        guard let group = state.withLock({ $0.group }) else { return }
        Task { await group.triggerGracefulShutdown() }
    }

    func cancel() { state.withLock { $0.task }?.cancel() }
}
