import Logging
import Perdure
import PerdureStore
import Synchronization

/// Where what other nodes do with runs can be seen, for engines that share their store with others.
struct Lookout: Sendable {
    let store: any Store
    let scheduler: Scheduler
    let logger: Logger
}

/// Who waits for something to become of a run: for its end, or for its reply to one update.
///
/// What this engine does wakes them at once. What other nodes do is looked for as long as somebody waits.
final class RunWaiters: Sendable {
    private typealias Waiting = [UInt64: CheckedContinuation<Void, Never>]

    private struct State {
        /// By the delivery id of the update whose reply is waited for; `nil` for whoever waits for the end.
        var waiting: [RunID: [String?: Waiting]] = [:]
        var last: UInt64 = 0
        var isClosed = false
        /// Whether a look is under way, or will be.
        var looks = false
        /// The last one to have begun to wait of those that were looked for last.
        var lookedFor: UInt64 = 0
        /// Whether the last look came to nothing.
        var isBlind = false

        /// What is looked for next: in the order in which they began to wait, and in turns if there are more than fit into one look.
        mutating func nextLook() -> [RunWait]? {
            var waits: [(wait: RunWait, number: UInt64)] = []
            for (run, updates) in waiting {
                for (update, waiters) in updates {
                    if let first = waiters.keys.min() { waits.append((RunWait(run: run, update: update), first)) }
                }
            }
            waits.sort { left, right in
                let (isLeftLate, isRightLate) = (left.number <= lookedFor, right.number <= lookedFor)
                return isLeftLate == isRightLate ? left.number < right.number : isRightLate
            }
            let next = waits.prefix(RunWaiters.lookLimit)
            lookedFor = next.last?.number ?? 0
            looks = !next.isEmpty
            return looks ? next.map(\.wait) : nil
        }
    }

    /// One wait.
    private struct Place {
        let run: RunID
        let update: String?
        let number: UInt64
    }

    private let runtime: EngineRuntime
    private let lookout: Lookout?
    private let state = Mutex(State())
    private static let pauseBetweenLooks = Duration.milliseconds(250)
    /// How many waits one look asks for at most: it must not hold up other reading.
    private static let lookLimit = 1_000

    /// - Parameter lookout: For an engine whose runs may be ended by others.
    init(runtime: EngineRuntime = .threads, lookout: Lookout? = nil) {
        self.runtime = runtime
        self.lookout = lookout
    }

    var isEmpty: Bool { state.withLock { $0.waiting.isEmpty } }

    /// How many wait.
    var count: Int { state.withLock { $0.waiting.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } } } }

    /// Returns when the run was woken or the task is cancelled, or at once if there is nothing to wait for any more.
    ///
    /// - Parameters:
    ///   - update: The delivery id of an update: its reply wakes too, and no other one does.
    ///   - condition: Asked once when the wait has begun, so that what came about just before is not missed.
    /// - Returns: False if the engine has ended.
    func wait(for run: RunID, update: String? = nil, unless condition: @escaping @Sendable () async -> Bool) async -> Bool {
        let isCancelled = CancellationMark()
        let place = state.withLock { state in
            state.last += 1
            return Place(run: run, update: update, number: state.last)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isClosed, beginsToLook) = state.withLock { state in
                    if state.isClosed { return (true, false) }
                    state.waiting[run, default: [:]][update, default: [:]][place.number] = continuation
                    defer { state.looks = true }
                    return (false, !state.looks)
                }
                if isClosed { continuation.resume() } else if isCancelled.isSet { end(place) }
                if beginsToLook { lookLater() }
                runtime.spawn { if await condition() { self.end(place) } }
            }
        } onCancel: {
            isCancelled.set()
            end(place)
        }
        return state.withLock { !$0.isClosed }
    }

    /// The run has ended, or will never be executed again.
    func wake(_ run: RunID) {
        let waiters = state.withLock { $0.waiting.removeValue(forKey: run) ?? [:] }
        Self.resume(waiters.values)
    }

    /// The run has answered these updates.
    func wake(_ run: RunID, updates: [String]) {
        let waiters = state.withLock { state -> [Waiting] in
            guard state.waiting[run] != nil else { return [] }
            defer { if state.waiting[run]?.isEmpty == true { state.waiting[run] = nil } }
            return updates.compactMap { state.waiting[run]?.removeValue(forKey: $0) }
        }
        Self.resume(waiters)
    }

    // MARK: Other nodes

    private func lookLater() {
        // Nobody's work is held up by it: a run that nothing moves any more is not moved by being looked at.
        lookout?.scheduler.schedule(afterRest: Self.pauseBetweenLooks) { [weak self] in
            guard let self else { return }
            runtime.spawn { await self.look() }
        }
    }

    /// Wakes whoever waits for something that has come about elsewhere. Goes on until nobody waits any more.
    private func look() async {
        guard let lookout, let waits = state.withLock({ $0.nextLook() }) else { return }
        do {
            for wait in try await lookout.store.ended(among: waits) {
                if let update = wait.update { wake(wait.run, updates: [update]) } else { wake(wait.run) }
            }
            state.withLock { $0.isBlind = false }
        } catch {
            let isFirst = state.withLock { state in
                defer { state.isBlind = true }
                return !state.isBlind
            }
            if isFirst {
                lookout.logger.warning(
                    "what other nodes have done with runs that are waited for cannot be seen; looking again",
                    metadata: ["runs": "\(waits.count)", "error": "\(error)"])
            }
        }
        lookLater()
    }

    /// Ends this wait and no other.
    private func end(_ place: Place) {
        let waiter = state.withLock { state in
            defer {
                if state.waiting[place.run]?[place.update]?.isEmpty == true { state.waiting[place.run]?[place.update] = nil }
                if state.waiting[place.run]?.isEmpty == true { state.waiting[place.run] = nil }
            }
            return state.waiting[place.run]?[place.update]?.removeValue(forKey: place.number)
        }
        waiter?.resume()
    }

    /// Ends every wait, for good.
    func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values.flatMap { $0.values }
        }
        Self.resume(waiters)
    }

    /// In the order in which they began to wait.
    private static func resume(_ waiters: some Sequence<Waiting>) {
        for waiter in waiters.joined().sorted(by: { $0.key < $1.key }) { waiter.value.resume() }
    }

    private final class CancellationMark: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock { $0 } }
        func set() { state.withLock { $0 = true } }
    }
}
