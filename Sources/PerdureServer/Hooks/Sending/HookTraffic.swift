internal import Synchronization

/// How many exchanges are under way in this process, and whether it is known what is due.
final class HookTraffic: Sendable {
    private struct State {
        var places: [String: Int] = [:]
        var all = 0
        var isBlind = false
    }
    private let state = Mutex(State())

    func enter(_ endpoint: String) -> Bool {
        state.withLock { state in
            guard state.all < HookSender.mostInAll, state.places[endpoint, default: 0] < HookSender.mostAtOnce else {
                return false
            }
            state.all += 1
            state.places[endpoint, default: 0] += 1
            return true
        }
    }

    func leave(_ endpoint: String) {
        state.withLock { state in
            state.all -= 1
            state.places[endpoint, default: 0] -= 1
            if state.places[endpoint] == 0 { state.places[endpoint] = nil }
        }
    }

    /// - Returns: Whether that is new.
    @discardableResult
    func note(isBlind: Bool) -> Bool {
        state.withLock { state in
            defer { state.isBlind = isBlind }
            return state.isBlind != isBlind
        }
    }
}
