package import Logging
import Perdure
package import PerdureEngine
import PerdureHistory
package import PerdureStore
import Synchronization

/// One process of a simulation: an engine, its clock and its store, which live and die together.
package final class SimulatedProcess: TurnQueue {
    private struct State {
        /// How far its clock is ahead.
        var skew: Duration
        var doors: [SimulatedStore] = []
        var running: Task<Void, Never>?
        var failure: (any Error)?
        var hasEnded = false
        /// What a dead process had open is closed.
        var isClosed = false
    }

    package let name: String
    package let tasks: any TaskExecutor
    package var clock: any EngineClock { SimulatedClock(process: self) }
    /// How far the time that it takes for its store's is ahead of that.
    let misjudgement: Duration
    let number: Int
    let loop: TurnLoop
    let gate: (any StoreGate)?
    private let state: Mutex<State>

    init(
        _ name: String, number: Int, loop: TurnLoop, skew: Duration = .zero, misjudgement: Duration = .zero,
        gate: (any StoreGate)? = nil
    ) {
        state = Mutex(State(skew: skew))
        self.misjudgement = misjudgement
        self.gate = gate
        self.name = name
        self.number = number
        self.loop = loop
        tasks = TurnExecutor(loop, process: number, kind: .task)
    }

    // MARK: What an engine is made with

    /// The configuration with everything that is not the seed's replaced: threads, time, chance and the name of the build.
    package func configured(_ base: EngineConfiguration = EngineConfiguration()) -> EngineConfiguration {
        var configuration = base
        configuration.runtime = .turns(self)
        configuration.clock = clock
        configuration.random = { [loop, number] in loop.random(of: number) }
        configuration.build = base.build ?? "simulated"
        // Rounds that find nothing to do would be all that there is to do in years of virtual time.
        configuration.keepsRetention = base.retention != nil || base.tombstoneRetention != nil || base.archive != nil
        return configuration
    }

    /// The store as this process sees it, until it dies.
    ///
    /// - Parameter isThreaded: For a store that answers from threads of its own. The simulation stands still until it has.
    package func store(_ base: StoreConfiguration, isThreaded: Bool = false) -> StoreConfiguration {
        StoreConfiguration { [self] role in
            // What a process that has just died had open is closed first.
            await turn()
            let store = SimulatedStore(
                try await SimulatedStore.open(base, role, isThreaded: isThreaded), process: self, isThreaded: isThreaded)
            state.withLock { $0.doors.append(store) }
            return store
        }
    }

    /// A logger that says nothing any more once the process is dead.
    package func logger(_ base: Logger) -> Logger {
        var logger = base
        logger.handler = QuietLogHandler(base.handler) { [loop, number] in loop.isAlive(number) }
        return logger
    }

    // MARK: Life and death

    package var isAlive: Bool { loop.isAlive(number) }
    /// Whether the engine has ended, by itself or because it was asked to.
    package var hasEnded: Bool { state.withLock { $0.hasEnded } }
    /// What the engine's `run()` has thrown.
    package var failure: (any Error)? { state.withLock { $0.failure } }

    /// Runs the engine until it is shut down or the process dies.
    package func start(_ engine: Engine) {
        let task = Task(executorPreference: tasks) { [self] in
            do {
                try await engine.run()
            } catch {
                state.withLock { $0.failure = error }
            }
            let isClosed = state.withLock { state in
                state.hasEnded = true
                return state.isClosed
            }
            if !isAlive, isClosed { loop.bury(number) }
        }
        state.withLock { $0.running = task }
    }

    /// Has the engine end, and waits until it has.
    package func shutDown() async {
        let task = state.withLock { $0.running }
        task?.cancel()
        await task?.value
    }

    /// Ends the process as a kill does, in the middle of whatever it is doing. Nothing of it is done any more and nothing reaches its
    /// store; bodies of steps stop where they are.
    package func crash() {
        guard loop.kill(number) else { return }
        let (doors, task) = state.withLock { state in
            defer { state.doors = [] }
            return (state.doors, state.running)
        }
        for door in doors { door.die() }
        loop.bells.forget(number)
        Task(executorPreference: tasks) { [self] in
            for door in doors { await door.closeBase() }
            let hasEnded = state.withLock { state in
                state.isClosed = true
                return state.hasEnded
            }
            // Otherwise the engine says when it has ended.
            if task == nil || hasEnded { loop.bury(number) }
        }
        task?.cancel()
    }

    /// Stops the process for a while, as a paused virtual machine is stopped: afterwards it goes on as if nothing had happened.
    package func freeze(for duration: Duration) { loop.freeze(number, for: duration) }

    /// Sets its clock. What it has begun to wait for takes as long as before.
    package func setClock(ahead skew: Duration) { state.withLock { $0.skew = skew } }

    /// How much time has passed for it alone.
    var timeSinceDeath: Duration { max(.zero, loop.time(of: number).duration(since: loop.now)) }

    fileprivate var time: Timestamp { loop.time(of: number) + state.withLock { $0.skew } }

    /// Lets time pass. For bodies of steps too.
    package func sleep(for duration: Duration) async throws {
        let nap = Nap(), body = loop.runningBody
        loop.body(body, sleeps: true)
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                nap.begin(continuation)
                loop.add(after: duration, of: number) { nap.end() }
            }
        } onCancel: {
            nap.end()
        }
        loop.body(body, sleeps: false)
        try Task.checkCancellation()
    }

    /// Lets others have their turn, where the seed says whose it is.
    func giveWay() async {
        if loop.isSeeded { await turn() }
    }

    /// Waits for the process to have a turn: where it is stopped, until it goes on.
    package func turn() async {
        await withUnsafeContinuation { continuation in submit { continuation.resume() } }
    }

    // MARK: TurnQueue

    package func submit(_ work: @escaping @Sendable () -> Void) { loop.add(.work, of: number, .closure(work)) }

    package func startBody(
        _ label: @autoclosure () -> String, _ body: @escaping @Sendable () async -> Void
    ) -> Task<Void, Never> {
        let body = (number: loop.beginBody(label(), of: number), work: body)
        let executor = TurnExecutor(loop, process: number, kind: .body, body: body.number)
        return Task.detached(executorPreference: executor) { [loop] in
            await body.work()
            loop.endBody(body.number)
        }
    }
}

/// The time of a simulation as one process sees it.
private struct SimulatedClock: EngineClock {
    let process: SimulatedProcess

    func now() -> Timestamp { process.time }
    var elapsed: Duration { process.loop.time(of: process.number).duration(since: .epoch) }
    func onChange(_ handler: @escaping @Sendable () -> Void) {}
    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) {
        process.loop.add(after: duration, of: process.number, action)
    }
    func afterRest(_ duration: Duration, _ action: @escaping @Sendable () -> Void) {
        process.loop.add(after: duration, of: process.number, isChore: true, action)
    }
}

/// One sleep, which ends once.
private final class Nap: Sendable {
    private struct State {
        var sleeper: UnsafeContinuation<Void, Never>?
        var isOver = false
    }

    private let state = Mutex(State())

    func begin(_ sleeper: UnsafeContinuation<Void, Never>) {
        let isOver = state.withLock { state in
            if !state.isOver { state.sleeper = sleeper }
            return state.isOver
        }
        if isOver { sleeper.resume() }
    }

    func end() {
        state.withLock { state in
            state.isOver = true
            return state.sleeper.take()
        }?.resume()
    }
}
