import Synchronization

/// What happened outside of the engine, in order, as the other side saw it.
final class Effects: Sendable {
    private struct State {
        var all: [String] = []
        var keys: [String: Set<String>] = [:]
    }

    private let pulse: Pulse
    private let state = Mutex(State())

    init(_ pulse: Pulse) { self.pulse = pulse }

    /// Everything that was sent, repeats included.
    var all: [String] { state.withLock { $0.all } }

    func add(_ name: String) {
        state.withLock { $0.all.append(name) }
        pulse.ring()
    }

    /// Like `add`, by an other side that recognises idempotency keys.
    func add(_ name: String, key: String) {
        state.withLock { state in
            state.all.append(name)
            state.keys[name, default: []].insert(key)
        }
        pulse.ring()
    }

    /// How often it was sent.
    func count(_ name: String) -> Int { state.withLock { state in state.all.count { $0 == name } } }

    /// How often it took effect: once for each key.
    func distinct(_ name: String) -> Int { state.withLock { $0.keys[name]?.count ?? 0 } }
}
