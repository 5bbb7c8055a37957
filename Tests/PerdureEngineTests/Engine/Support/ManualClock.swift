import PerdureEngine
import PerdureHistory
import Synchronization

/// Time that moves only when a test says so.
final class ManualClock: Sendable {
    private struct State {
        var now = Timestamp(microseconds: 1_770_000_000_000_000)
        /// What has passed, which is never taken back.
        var passed = Duration.zero
        var handlers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    func now() -> Timestamp { state.withLock { $0.now } }
    var passed: Duration { state.withLock { $0.passed } }

    /// A negative duration sets the clock back.
    func advance(by duration: Duration) {
        let handlers = state.withLock { state in
            state.now = state.now + duration
            state.passed += max(duration, .zero)
            return state.handlers
        }
        for handler in handlers { handler() }
    }

    func onChange(_ handler: @escaping @Sendable () -> Void) { state.withLock { $0.handlers.append(handler) } }
}

/// The clock as one engine sees it. For an engine that has died, all time is over: whatever it waited for ends.
final class ProcessClock: EngineClock {
    private struct State {
        var passed = Duration.zero
        var handlers: [@Sendable () -> Void] = []
        var pauses: [(length: Duration, until: Duration, action: @Sendable () -> Void)] = []
    }

    private let clock: ManualClock
    private let pulse: Pulse?
    private let state = Mutex(State())

    /// - Parameter pulse: Rings whenever a pause begins.
    init(_ clock: ManualClock, pulse: Pulse? = nil) {
        self.clock = clock
        self.pulse = pulse
        clock.onChange { [weak self] in self?.endPauses() }
    }

    func now() -> Timestamp { clock.now() + state.withLock { $0.passed } }
    var elapsed: Duration { clock.passed + state.withLock { $0.passed } }

    func onChange(_ handler: @escaping @Sendable () -> Void) {
        state.withLock { $0.handlers.append(handler) }
        clock.onChange(handler)
    }

    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) {
        state.withLock { $0.pauses.append((duration, clock.passed + $0.passed + duration, action)) }
        endPauses()
        pulse?.ring()
    }

    /// Whether a pause of this length has begun and is not over.
    func isPausing(for length: Duration) -> Bool { state.withLock { $0.pauses.contains { $0.length == length } } }

    private func endPauses() {
        let ended = state.withLock { state in
            let now = clock.passed + state.passed
            let ended = state.pauses.filter { $0.until <= now }
            state.pauses.removeAll { $0.until <= now }
            return ended
        }
        for pause in ended { pause.action() }
    }

    /// Lets a year pass, for this engine only.
    func end() {
        let handlers = state.withLock { state in
            state.passed += .seconds(31_536_000)
            return state.handlers
        }
        for handler in handlers { handler() }
        endPauses()
    }
}
