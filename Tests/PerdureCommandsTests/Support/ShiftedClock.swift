import Foundation
import PerdureEngine
import PerdureHistory
import Synchronization

/// The time of the day, moved forward by hand.
final class ShiftedClock: EngineClock {
    private struct State {
        var shift = Duration.zero
        var handlers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    func now() -> Timestamp { Timestamp(Date()) + state.withLock { $0.shift } }

    func onChange(_ handler: @escaping @Sendable () -> Void) { state.withLock { $0.handlers.append(handler) } }

    func advance(by duration: Duration) {
        let handlers = state.withLock { state in
            state.shift += duration
            return state.handlers
        }
        for handler in handlers { handler() }
    }
}
