import Foundation
import HeapModule
import Perdure
import PerdureEngine
import PerdureHistory
import Synchronization

/// The queue of a simulation, its time, and the thread that works.
///
/// What is done is decided under one lock and done outside of it. Nothing here depends on an address, a hash or the real time.
final class TurnLoop: Sendable {
    enum Work: Sendable {
        case closure(@Sendable () -> Void)
        case job(UnownedJob, TurnExecutor)
    }

    struct Item: Sendable {
        let number: UInt64
        let process: Int
        let kind: Turn.Kind
        let body: UInt64?
        let work: Work
    }

    private enum Next {
        case run(Item, Turn?)
        case wait(patience: Duration)
        case end
        case fail(SimulationFailure)
    }

    let outside: OutsideWork
    let turnLimit: Int
    let isSeeded: Bool
    let bells = Bells()
    private let state: Mutex<TurnState>
    /// The thread that works, 0 if none does.
    private let thread = Atomic<UInt>(0)
    /// Counts what comes from other threads.
    private let arrivals = DispatchSemaphore(value: 0)
    /// Not the closure alone: each time a bare one is read through the lock it is wrapped once more.
    private struct Handler: Sendable { let tell: @Sendable (Turn) -> Void }
    private let handler = Mutex<Handler?>(nil)
    private let isWatched = Atomic<Bool>(false)

    init(
        seed: UInt64?, start: Timestamp, turnLength: Duration, outside: OutsideWork, limit: Duration, turnLimit: Int
    ) {
        self.outside = outside
        self.turnLimit = turnLimit
        isSeeded = seed != nil
        state = Mutex(TurnState(seed: seed, start: start, turnLength: turnLength, end: start + limit))
    }

    var isOnThread: Bool { thread.load(ordering: .relaxed) == ThreadIdentity.current }
    var now: Timestamp { state.withLock { $0.now } }
    var trace: Trace { state.withLock { $0.trace } }
    var outsideWork: [String] { state.withLock { $0.outsideWork } }

    func onTurn(_ handler: (@Sendable (Turn) -> Void)?) {
        self.handler.withLock { $0 = handler.map(Handler.init) }
        isWatched.store(handler != nil, ordering: .relaxed)
    }

    // MARK: Handing over

    /// - Parameter isInvited: Whether it may come from another thread.
    func add(_ kind: Turn.Kind, of process: Int, body: UInt64? = nil, _ work: Work, isInvited: Bool = false) {
        let isOutside = !isOnThread
        let stranger = isOutside && !isInvited ? Self.callerDescription : nil
        // What is dropped goes after unlocking: what a closure has captured may run code then.
        let dropped = state.withLock { state -> Work? in
            if let stranger { state.noteOutsideWork(kind, of: process, body: body, from: stranger) }
            return state.add(kind, of: process, body: body, work)
        }
        _ = dropped
        if isOutside { arrivals.signal() }
    }

    /// Does the work when so much time has passed.
    ///
    /// - Parameter isChore: Whether it is housekeeping: what is left to do when everything else is at rest.
    func add(after duration: Duration, of process: Int, isChore: Bool = false, _ action: @escaping @Sendable () -> Void) {
        let isOutside = !isOnThread
        let stranger = isOutside ? Self.callerDescription : nil
        state.withLock { state in
            if let stranger { state.noteOutsideWork(.time, of: process, body: nil, from: stranger) }
            state.add(after: duration, of: process, isChore: isChore, action)
        }
        if isOutside { arrivals.signal() }
    }

    /// Something was called on a thread that it must not be called on.
    func noteOutsideCall(_ what: String, of process: Int) {
        guard !isOnThread else { return }
        let stranger = Self.callerDescription
        state.withLock { $0.noteOutsideCall(what, of: process, from: stranger) }
        arrivals.signal()
    }

    private static var callerDescription: String {
        let stack = Thread.callStackSymbols.dropFirst(2).prefix(12).joined(separator: "\n    ")
        return "thread '\(Thread.current.name ?? "")'\n    \(stack)"
    }

    // MARK: Processes

    func addProcess(_ name: String) -> Int { state.withLock { $0.addProcess(name) } }
    func isAlive(_ process: Int) -> Bool { state.withLock { !$0.processes[process].isDead } }
    func time(of process: Int) -> Timestamp { state.withLock { $0.time(of: process) } }
    func random(of process: Int) -> UInt64 { state.withLock { $0.processes[process].generator.next() } }

    /// - Returns: False if it was dead before.
    func kill(_ process: Int) -> Bool {
        let (isKilled, dropped) = state.withLock { $0.kill(process) }
        _ = dropped
        return isKilled
    }

    /// Nothing of a dead process is left that anybody waits for.
    func bury(_ process: Int) {
        let dropped = state.withLock { $0.bury(process) }
        _ = dropped
    }

    func freeze(_ process: Int, for duration: Duration) {
        state.withLock { state in
            let end = state.now + duration
            guard !state.processes[process].isDead, state.processes[process].frozenUntil.map({ $0 < end }) ?? true else { return }
            state.freeze(process, until: end)
            state.add(after: duration, of: 0) { [self] in self.state.withLock { $0.thaw(process, at: end) } }
        }
    }

    // MARK: Bodies

    func beginBody(_ label: String, of process: Int) -> UInt64 { state.withLock { $0.beginBody(label, of: process) } }
    func endBody(_ body: UInt64) { state.withLock { $0.bodies[body] = nil } }
    /// The body whose turn it is.
    var runningBody: UInt64? { isOnThread ? state.withLock { $0.running?.body } : nil }
    func body(_ body: UInt64?, sleeps: Bool) {
        guard let body else { return }
        state.withLock { $0.bodies[body]?.sleeps += sleeps ? 1 : -1 }
    }

    // MARK: The thread

    func main<Value: Sendable>(_ body: @escaping @concurrent @Sendable () async throws -> Value) async throws -> Value {
        let outcome = Outcome<Value>()
        let number = try state.withLock { state throws(SimulationFailure) in
            if let failure = state.failure { throw failure }
            return state.addMain { outcome.give(.failure($0)) }
        }
        // Not detached: what is local to the test's task, such as which test it is, is known in here too.
        let task = Task(executorPreference: TurnExecutor(self, process: 0, kind: .task, isEntrance: true)) { [self] in
            let result: Result<Value, any Error>
            do {
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            state.withLock { $0.mains[number] = nil }
            outcome.give(result)
        }
        if state.withLock({ $0.takeWheel() }) {
            let thread = Thread { [self] in drive() }
            thread.stackSize = EngineThreads.stackSize
            thread.start()
        }
        return try await withTaskCancellationHandler {
            try await outcome.value
        } onCancel: {
            add(.task, of: 0, .closure { task.cancel() }, isInvited: true)
        }
    }

    private func drive() {
        thread.store(ThreadIdentity.current, ordering: .relaxed)
        while true {
            switch state.withLock({ next(&$0) }) {
            case .run(let item, let turn):
                if let turn, !tell(turn, of: item) { continue }
                run(item.work)
            case .wait(let patience):
                let time = DispatchTime.now() + .microseconds(Int(clamping: patience.microseconds))
                if arrivals.wait(timeout: time) == .timedOut { state.withLock { $0.losePatience() } }
            case .end: return
            case .fail(let failure):
                let mains = state.withLock { $0.fail(failure) }
                for main in mains { main(failure) }
            }
        }
    }

    /// Returns whether the turn is still to be taken: who was told may have ended or stopped the process.
    private func tell(_ turn: Turn, of item: Item) -> Bool {
        guard let handler = handler.withLock({ $0 }) else { return true }
        handler.tell(turn)
        let (goesOn, dropped) = state.withLock { $0.goesOn(with: item) }
        _ = dropped
        return goesOn
    }

    private func run(_ work: Work) {
        switch work {
        case .closure(let closure): closure()
        case .job(let job, let executor): job.runSynchronously(on: executor.asUnownedTaskExecutor())
        }
    }

    private func next(_ state: inout TurnState) -> Next {
        state.running = nil
        guard !state.mains.isEmpty else {
            state.isDriven = false
            thread.store(0, ordering: .relaxed)
            return .end
        }
        if let ghost = state.takeGhost() { return .run(ghost, nil) }
        if outside == .refused, let first = state.outsideWork.first { return .fail(Self.refusal(of: first)) }
        if state.trace.turns - state.turnsBefore >= turnLimit || state.trace.turns / 20 >= turnLimit {
            return .fail(state.endless)
        }
        while true {
            if let item = state.take() {
                state.trace.add(item.number, item.process, item.kind, state.now)
                return .run(item, isWatched.load(ordering: .relaxed) ? state.turn(item) : nil)
            }
            if case .awaited(let patience) = outside, state.mayBeWoken { return .wait(patience: patience) }
            guard state.moveTime() else { return .fail(state.now > state.end ? state.timeIsUp : state.standstill) }
            state.turnsBefore = state.trace.turns
        }
    }

    private static func refusal(of work: String) -> SimulationFailure {
        SimulationFailure(
            reason: .outsideWork,
            message: "Something happened outside of the simulation, so that it does not depend on the seed alone: \(work)")
    }
}

/// Puts jobs into the queue of a simulation.
final class TurnExecutor: TaskExecutor {
    private let loop: TurnLoop
    private let process: Int
    private let kind: Turn.Kind
    private let body: UInt64?
    /// The first job comes from whoever calls the simulation.
    private let isEntrance: Atomic<Bool>

    init(_ loop: TurnLoop, process: Int, kind: Turn.Kind, body: UInt64? = nil, isEntrance: Bool = false) {
        self.loop = loop
        self.process = process
        self.kind = kind
        self.body = body
        self.isEntrance = Atomic(isEntrance)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let isInvited = isEntrance.exchange(false, ordering: .relaxed)
        loop.add(kind, of: process, body: body, .job(UnownedJob(job), self), isInvited: isInvited)
    }
}

/// What comes of one call from outside.
private final class Outcome<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiter: CheckedContinuation<Value, any Error>?
    }

    private let state = Mutex(State())

    /// The first one counts.
    func give(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            return state.waiter.take()
        }
        waiter?.resume(with: result)
    }

    var value: Value {
        get async throws {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.waiter = continuation }
                    return state.result
                }
                if let result { continuation.resume(with: result) }
            }
        }
    }
}
