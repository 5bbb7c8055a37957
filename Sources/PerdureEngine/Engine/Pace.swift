import Synchronization

/// How often something is done at most.
final class Pace: Sendable {
    private struct State {
        var last: Duration?
        var isWaiting = false
    }

    private let state = Mutex(State())
    private let pause: Duration

    init(_ pause: Duration) { self.pause = pause }

    /// Returns true and notes that it is done now; or, if it was done a moment ago, has the bell ring once that is over, however often it
    /// is asked for meanwhile.
    func allows(_ clock: any EngineClock, orRings bell: Bell, by scheduler: Scheduler) -> Bool {
        let now = clock.elapsed
        let rest: Duration? = state.withLock { state in
            if let last = state.last, now >= last, now - last < pause {
                defer { state.isWaiting = true }
                return state.isWaiting ? .zero : pause - (now - last)
            }
            state.last = now
            return nil
        }
        guard let rest else { return true }
        if rest > .zero {
            scheduler.schedule(after: rest) { [self] in
                state.withLock { $0.isWaiting = false }
                bell.ring()
            }
        }
        return false
    }
}
