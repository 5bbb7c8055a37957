import Perdure
import Synchronization

/// Who waits for something to become of a run of this engine: for its end, or for its reply to one update.
final class RunWaiters: Sendable {
    private typealias Waiting = [UInt64: CheckedContinuation<Void, Never>]

    private struct State {
        /// By the delivery id of the update whose reply is waited for; `nil` for whoever waits for the end.
        var waiting: [RunID: [String?: Waiting]] = [:]
        var last: UInt64 = 0
        var isClosed = false
    }

    /// One wait.
    private struct Place {
        let run: RunID
        let update: String?
        let number: UInt64
    }

    private let runtime: EngineRuntime
    private let state = Mutex(State())

    init(runtime: EngineRuntime = .threads) { self.runtime = runtime }

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
                let isClosed = state.withLock { state in
                    if state.isClosed { return true }
                    state.waiting[run, default: [:]][update, default: [:]][place.number] = continuation
                    return false
                }
                if isClosed { continuation.resume() } else if isCancelled.isSet { end(place) }
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
