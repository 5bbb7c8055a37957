import Perdure
import Synchronization

/// Who waits for something to become of a run of this engine.
final class RunWaiters: Sendable {
    private struct State {
        var waiting: [RunID: [CheckedContinuation<Void, Never>]] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    var isEmpty: Bool { state.withLock { $0.waiting.isEmpty } }

    /// Returns when the run was woken or the task is cancelled, or at once if there is nothing to wait for any more.
    ///
    /// - Parameter condition: Asked once more when the wait has begun, so that what came about just before is not missed.
    /// - Returns: False if the engine has ended.
    func wait(for run: RunID, unless condition: @escaping @Sendable () async -> Bool) async -> Bool {
        let isCancelled = CancellationMark()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isClosed = state.withLock { state in
                    if state.isClosed { return true }
                    state.waiting[run, default: []].append(continuation)
                    return false
                }
                if isClosed { continuation.resume() } else if isCancelled.isSet { wake(run) }
                Task { if await condition() { wake(run) } }
            }
        } onCancel: {
            isCancelled.set()
            wake(run)
        }
        return state.withLock { !$0.isClosed }
    }

    func wake(_ run: RunID) {
        let waiters = state.withLock { $0.waiting.removeValue(forKey: run) ?? [] }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends every wait, for good.
    func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values.flatMap { $0 }
        }
        for waiter in waiters { waiter.resume() }
    }

    private final class CancellationMark: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock { $0 } }
        func set() { state.withLock { $0 = true } }
    }
}
