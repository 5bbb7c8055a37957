import Dispatch
import Synchronization

/// One waits until another gives it something to do; what was given before counts. A thread is held up meanwhile, a task is not.
final class Wake: Sendable {
    private struct State {
        var given = 0
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let semaphore: DispatchSemaphore?
    private let state = Mutex(State())

    init(_ runtime: EngineRuntime) { semaphore = runtime.hasThreads ? DispatchSemaphore(value: 0) : nil }

    func signal() {
        if let semaphore {
            semaphore.signal()
            return
        }
        state.withLock { state in
            guard let waiting = state.waiting.take() else {
                state.given += 1
                return nil as CheckedContinuation<Void, Never>?
            }
            return waiting
        }?.resume()
    }

    /// For a thread, where there are threads.
    func wait() { semaphore?.wait() }

    /// For a task, where there are none; one at a time.
    func awaited() async {
        await withCheckedContinuation { continuation in
            let isGiven = state.withLock { state in
                guard state.given > 0 else {
                    state.waiting = continuation
                    return false
                }
                state.given -= 1
                return true
            }
            if isGiven { continuation.resume() }
        }
    }
}
