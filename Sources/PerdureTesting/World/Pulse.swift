import Synchronization

/// Wakes those who wait for something to have changed.
final class Pulse: Sendable {
    private struct State {
        var beats = 0
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var beats: Int { state.withLock { $0.beats } }

    func beat() {
        let waiters = state.withLock { state in
            state.beats += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when there have been more beats than these.
    func wait(after beats: Int) async {
        await withUnsafeContinuation { continuation in
            let isOver = state.withLock { state in
                if state.beats > beats { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    /// Returns when the condition holds, which is asked after every beat.
    func wait(until condition: () async throws -> Bool) async rethrows {
        while true {
            let beats = self.beats
            if try await condition() { return }
            await wait(after: beats)
        }
    }
}
