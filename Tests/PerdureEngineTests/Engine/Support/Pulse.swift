import Synchronization

/// Tells waiting tests that something may have changed, so that they look again instead of sleeping.
final class Pulse: Sendable {
    private struct State {
        var count = 0
        var lastWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    func ring() {
        let waiters = state.withLock { state in
            state.count += 1
            defer { state.waiters = [:] }
            return state.waiters.values.map { $0 }
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Looks now and after every ring until the condition holds. Ends with `CancellationError` when the test's time is over.
    func until(_ condition: () async throws -> Bool) async throws {
        while true {
            let seen = state.withLock { $0.count }
            if try await condition() { return }
            await wait(after: seen)
            try Task.checkCancellation()
        }
    }

    private func wait(after seen: Int) async {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.count == seen, !Task.isCancelled else { return false }
                    state.waiters[id] = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
