import CoreMetrics
import Foundation
public import Logging
import Perdure
import PerdureHistory
public import PerdureStore
public import ServiceLifecycle
import Synchronization

/// Hosts workflows over a store: starts runs, brings them back after crashes, wakes them when something is due.
///
/// ```swift
/// let engine = try await Engine(store: .sqlite("perdure.db")) { RotateSecret(vault: vault) }
/// async let running: Void = engine.run()
/// let run = try await engine.start(RotateSecret.self, input: request, key: "db-2026-11", by: Principal(.human, "ada"))
/// let report = try await run.result()
/// ```
public final class Engine: Service {
    /// What the engine was made with.
    public let configuration: EngineConfiguration
    /// Looks at runs of every namespace and sends them messages; what is sent through it reaches runs of this engine at once. For one
    /// tenant there is `Client.confined(to:)`.
    public let client: Client
    /// The same for the engine's own namespace.
    let tenant: Client

    package let node: NodeID
    package let build: String
    let store: any Store
    let registry: WorkflowRegistry
    let steps: StepRegistry
    let logger: Logger
    let journal: Journal
    /// The store's time. That of the configuration only measures how long something takes.
    let clock: StoreClock
    /// Where several nodes share the store.
    let lease: NodeLease?
    let scheduler: Scheduler
    let resources: Resources
    let pumpAlarm: Scheduler.Alarm
    let threads: EngineThreads
    let watchdog: Watchdog
    let metrics = EngineMetrics()
    let bodies = BodyCounter()
    let bodyExecutor: BodyExecutor
    let recovering: Recovery
    let lead: Lead
    let inboxes: InboxLook
    let bell: Bell
    let schedules: ScheduleWatch
    let admissions: AdmissionWatch
    let waiters: RunWaiters
    let state: Mutex<EngineState>
    /// How what it does beside its runs goes.
    package let upkeep = Upkeep()
    /// The store keeps it, and with it what the engine is made of.
    private let outside: OutsideWatch

    /// Opens the store and takes it for this process, until `run()` has ended or `close()` was called.
    ///
    /// Runs can be started and messages sent at once; they are durable, and taken on when `run()` is called.
    ///
    /// - Parameters:
    ///   - store: Where histories are kept; an embedded store belongs to one engine at a time.
    ///   - configuration: How the engine works. Values outside a property's range are moved to its nearest end.
    ///   - logger: Where the engine logs, and what the loggers of workflow code and of steps are made from.
    ///   - workflows: One value for each version of each workflow that this process hosts.
    ///   - steps: Typed steps that this process can undo where the code of their run is not: while a run is blocked, or its workflow is not
    ///     hosted. Any of them, of whatever workflow.
    /// - Throws: `PerdureError` for names that are invalid or registered twice, and for a store that cannot be used; its code says why.
    public init(
        store: StoreConfiguration, configuration: EngineConfiguration = EngineConfiguration(),
        logger: Logger = Logger(label: "perdure"),
        @WorkflowBuilder workflows: () throws -> [RegisteredWorkflow],
        @StepBuilder steps: () throws -> [RegisteredStep] = { [] }
    ) async throws {
        self.steps = try StepRegistry(try steps())
        registry = try WorkflowRegistry(try workflows())
        let configuration = try Self.checked(configuration)
        self.configuration = configuration
        self.logger = logger
        // It takes as long as opening the store, so both are done at once.
        let runtime = configuration.runtime
        let fingerprint = runtime.spawn { configuration.build ?? BuildFingerprint.current }
        let now = configuration.clock.now()
        node = NodeID(
            rawValue: RunID(milliseconds: now.microseconds / 1_000, random: (configuration.random(), configuration.random()))
                .description)
        let registered: Duration
        do {
            let opened = try await store.open(configuration.duty == .visitor ? .client : .engine)
            self.store = opened
            build = await fingerprint.value
            registered = configuration.clock.elapsed
            if configuration.duty != .visitor {
                try await Self.register(node, build, registry, configuration, with: opened)
            }
        } catch let error as StoreError {
            throw error.publicError
        }
        // Before the store is open its time is not known.
        recovering = Recovery(clock: configuration.clock, since: now, logger: logger, metrics: metrics)
        let clock = StoreClock(self.store, machine: configuration.clock)
        self.clock = clock
        lease = self.store.leaseLength.map { NodeLease(length: $0, since: registered, clock: clock) }
        scheduler = Scheduler(clock: clock, runtime: runtime)
        resources = Resources(
            configuration.resources, clock: clock, random: configuration.random, scheduler: scheduler, logger: logger,
            metrics: metrics, exchange: Self.exchange(configuration, lease, node, self.store, scheduler))
        pumpAlarm = scheduler.makeAlarm()
        let schedules = ScheduleWatch(alarm: scheduler.makeAlarm()), admissions = AdmissionWatch(alarm: scheduler.makeAlarm())
        (self.schedules, self.admissions) = (schedules, admissions)
        lead = Lead(configuration.lead)
        inboxes = InboxLook(store: self.store, clock: clock, scheduler: scheduler, runtime: runtime, logger: logger)
        bodyExecutor = BodyExecutor(lends: configuration.threads > 1, runtime: runtime)
        watchdog = Self.watchdog(configuration.watchdogLimit, logger)
        let scheduler = scheduler
        journal = Journal(store: self.store, logger: logger, runtime: runtime) { duration, action in
            scheduler.schedule(after: duration, action)
        }
        let bell = Bell(), journal = journal, resources = resources
        threads = Self.threads(configuration.threads, runtime, journal, bodyExecutor)
        self.bell = bell
        state = Mutex(EngineState())
        let waiters = RunWaiters(
            runtime: runtime, lookout: lease == nil ? nil : Lookout(store: self.store, scheduler: scheduler, logger: logger))
        self.waiters = waiters
        client = Self.client(
            of: self.store, waiters, bell, schedules, admissions, journal, random: configuration.random, build: build)
        tenant = try client.confined(to: configuration.namespace)
        outside = self.store.onOutsideDelivery {
            for one in [bell, admissions.bell] { one.ring() }
            resources.ringOutside()
            schedules.ring(isOften: admissions.hasQueues, clock, scheduler)
        }
    }

    /// Of one that was dropped nothing stays: an embedded store is free again.
    deinit { outside.end() }

    private static func checked(_ configuration: EngineConfiguration) throws -> EngineConfiguration {
        guard Name.isIdentifier(configuration.namespace) else {
            throw PerdureError(
                .nameInvalid,
                "'\(configuration.namespace)' cannot be a namespace: use 1 to 128 letters, digits, '-', '_' and '.'.")
        }
        return configuration.clamped
    }

    /// Whoever tries again after an error must not find the store taken by an engine that has never been.
    private static func register(
        _ node: NodeID, _ build: String, _ registry: WorkflowRegistry, _ configuration: EngineConfiguration,
        with store: any Store
    ) async throws(StoreError) {
        let process = ProcessInfo.processInfo
        let registration = NodeRegistration(
            id: node, build: build, host: configuration.nodeName ?? process.hostName, processID: process.processIdentifier,
            hosted: registry.all.map { .init(workflow: $0.name, version: $0.version.description) },
            verifies: configuration.sharedVerification)
        do throws(StoreError) {
            try await store.register(registration)
        } catch {
            await store.close()
            throw error
        }
    }

    /// Who hosts runs shares its circuits where other nodes may.
    private static func exchange(
        _ configuration: EngineConfiguration, _ lease: NodeLease?, _ node: NodeID, _ store: any Store, _ scheduler: Scheduler
    ) -> CircuitExchange? {
        guard let lease, configuration.duty == .host else { return nil }
        return CircuitExchange(
            store, namespace: configuration.namespace, node: node, leave: lease.length, alarm: scheduler.makeAlarm())
    }

    private static func watchdog(_ limit: Duration, _ logger: Logger) -> Watchdog {
        Watchdog(limit: limit, now: { .now }) { report in
            logger.warning(
                "workflow code has not come to rest; work that takes long belongs in a step",
                metadata: ["run": "\(report.label)", "for": "\(report.duration)"])
        }
    }

    /// A client whose messages go through the journal, and are looked for at once.
    private static func client(
        of store: any Store, _ waiters: RunWaiters, _ bell: Bell, _ schedules: ScheduleWatch, _ admissions: AdmissionWatch,
        _ journal: Journal,
        random: @escaping @Sendable () -> UInt64, build: String
    ) -> Client {
        let groups = CommitGroups(store)
        return Client(
            store: store, waiters: waiters, random: random, build: build,
            onQueueChange: {
                admissions.noteQueue()
                admissions.bell.ring()
            }
        ) { item in
            defer {
                bell.ring()
                if case .schedule = item { schedules.bell.ring() }
                if item.beginsInQueue {
                    admissions.noteQueue()
                    admissions.bell.ring()
                }
            }
            // Nobody comes for what is in the journal of an engine that does not run yet.
            guard journal.hasBegun else { return try await Client.commit(item, in: groups) }
            guard let result = await journal.submit(item) else {
                throw PerdureError(
                    .engineStopped, "The engine has stopped; it is not known whether this was accepted.", mayHaveHappened: true)
            }
            return result
        }
    }

    /// The threads that drain runs. Between two of them a thread sees to what that has left for it: a body, which may never give it back,
    /// and what is to be written.
    private static func threads(
        _ count: Int, _ runtime: EngineRuntime, _ journal: Journal, _ bodyExecutor: BodyExecutor
    ) -> EngineThreads {
        EngineThreads(count: count, runtime: runtime) { isIdle in
            if isIdle { journal.help() } else { journal.nudge() }
        } guest: {
            guard bodyExecutor.hasKept else { return nil }
            // What was handed over must not wait for a body.
            journal.nudge()
            return { bodyExecutor.runKept() }
        }
    }

    /// Runs until it is cancelled or gracefully shut down, which come to the same; then it lets go of the store.
    ///
    /// No new work is taken then; steps that are being executed get `shutdownGrace` to end, and what they leave is handed over to whoever
    /// opens the store next. So this call returns up to `shutdownGrace` after its task was cancelled. An engine runs once.
    ///
    /// - Throws: `PerdureError` with `engine_stopped` if it has run or was closed before, or the store's code if the store fails for good.
    public func run() async throws {
        try state.withLock { state in
            guard state.phase == .idle else {
                throw PerdureError(.engineStopped, "An engine runs once: make a new one.")
            }
            state.phase = .running
        }
        journal.begin()
        logger.info("engine starts", metadata: ["node": "\(node)", "build": "\(build)"])
        scheduler.start()
        var failure: StoreError?
        do {
            try await configuration.runtime.host { [self] in try await work() }
        } catch let error as StoreError {
            failure = error
        }
        await stop()
        if let failure { throw failure.publicError }
    }

    private func work() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { [self] in try await journal.run() }
            group.addTask { [self] in try await hostRuns() }
            bell.ring()
            admissions.bell.ring()
            schedules.bell.ring()
            // Not waitForAll: that would wait for the pump too before it says that the journal has failed.
            while try await group.next() != nil {}
        }
    }

    /// Takes work in, and hands it over at the end. The lease is kept until that is done.
    private func hostRuns() async throws {
        try await withThrowingTaskGroup { group in
            if let lease { group.addTask { [self] in try await keepLease(lease) } }
            if let exchange = resources.exchange { group.addTask { [self] in await resources.keepCircuits(exchange) } }
            group.addTask { [self] in
                await untilShutdown()
                await drain()
                journal.close()
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Lets go of the store and its file without running. Runs that were started stay `ready` for the next engine.
    ///
    /// Does nothing for an engine whose `run()` was called: it lets go of the store when that ends.
    public func close() async {
        let isIdle = state.withLock { state in
            guard state.phase == .idle else { return false }
            state.phase = .stopped
            return true
        }
        guard isIdle else { return }
        journal.close()
        await stop()
    }

    /// Takes in work until shutdown begins.
    private func untilShutdown() async {
        await withTaskGroup { group in
            if configuration.duty != .visitor {
                group.addTask { [self] in await pump() }
                group.addTask { [self] in await keepAdmitting() }
            }
            group.addTask { [self] in await keepSchedules() }
            if configuration.runtime.hasThreads { group.addTask { [self] in await watchThreads() } }
            group.addTask { [self] in await keepRetention() }
            group.addTask { [self] in await sweep() }
            await shutdownBegins()
            beginGrace()
            group.cancelAll()
            await group.waitForAll()
        }
    }

    private func shutdownBegins() async {
        let begun = Receipt()
        _ = await withTaskCancellationOrGracefulShutdownHandler {
            await begun.value
        } onCancelOrGracefulShutdown: {
            begun.give(true)
        }
    }

    private func watchThreads() async {
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            watchdog.check(now: .now)
            let count = state.withLock { $0.table.count }
            metrics.resident.record(count)
        }
    }

    private func stop() async {
        state.withLock { $0.phase = .stopped }
        waiters.close()
        await scheduler.stop()
        await threads.stop()
        do {
            if configuration.duty != .visitor { try await store.unregister(node) }
        } catch {
            logger.warning("the store did not take leave of this node", metadata: ["error": "\(error)"])
        }
        await store.close()
        logger.info("engine has stopped", metadata: ["node": "\(node)"])
    }
}

/// What an engine keeps in mind.
struct EngineState {
    enum Phase { case idle, running, draining, stopped }

    var phase = Phase.idle
    var table = RunTable()
    /// Runs that are being started or read from the store.
    var loading = 0
    /// Runs that are owned, not in memory, and will be given back.
    var givingBack = 0
    /// Whether no run is owned any more, as far as this engine knows.
    var isDrained: Bool { table.ownedCount == 0 && loading == 0 && givingBack == 0 }
    var lastInboxRow: Int64 = 0
    /// The store's history went back, and nothing may be begun.
    var isHeld = false
    /// Messages for runs that this node owns and that are still being read from the store.
    var rowsForLoading: [Int64: LateRows] = [:]
    var scheduledPump: Timestamp?
    /// How often in a row something was said to be due and not there to be claimed.
    var vainLooks = 0
    var isLookingAgain = false
    /// Whether runs are claimed a little before they are due.
    var claimsAhead = true
    /// Whether work was left in the store because too much was in memory.
    var isSaturated = false
    /// The run in memory that is under suspicion of taking the process down; one at a time.
    var activeSuspect: Int64?
    /// Suspects that were given back since the last one was brought in.
    var turnedAway = 0
    var drained: CheckedContinuation<Void, Never>?
}

/// Messages that come for a run while it is read from the store. Too many are left there, to be read when these are done with.
struct LateRows {
    var rows: [InboxRow] = []
    var hasMore = false

    mutating func add(_ more: [InboxRow]) {
        if rows.count >= InboxPage.limit { hasMore = true } else if !hasMore { rows += more }
    }
}

/// Wakes the pump; rings that come while it is busy become one.
final class Bell: Sendable {
    let rings: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (rings, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }
    func ring() { continuation.yield() }
}
