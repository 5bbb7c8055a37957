import PerdureEngine
import PerdureHistory
import Synchronization

/// Time that moves when the process is told so: three weeks take as long as the work in them.
final class DrivenClock: EngineClock {
    private struct State {
        var now: Timestamp
        var handlers: [@Sendable () -> Void] = []
    }

    private let state: Mutex<State>

    init(_ now: Timestamp) { state = Mutex(State(now: now)) }

    func now() -> Timestamp { state.withLock { $0.now } }

    func onChange(_ handler: @escaping @Sendable () -> Void) { state.withLock { $0.handlers.append(handler) } }

    /// Moves forward only.
    func move(to time: Timestamp) {
        let handlers = state.withLock { state in
            state.now = max(state.now, time)
            return state.handlers
        }
        for handler in handlers { handler() }
    }
}
