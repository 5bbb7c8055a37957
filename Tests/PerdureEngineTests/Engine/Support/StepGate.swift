import Synchronization

/// A place where a step's body stops until the test lets it go on.
final class StepGate: Sendable {
    private struct State {
        var isOpen = false
        var arrivals = 0
        var last = 0
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let pulse: Pulse
    private let state = Mutex(State())

    init(_ pulse: Pulse, isOpen: Bool = false) {
        self.pulse = pulse
        state.withLock { $0.isOpen = isOpen }
    }

    /// How many have come here so far.
    var arrivals: Int { state.withLock { $0.arrivals } }

    /// Waits until the gate is open. Throws when the body's task is cancelled.
    func pass() async throws {
        let id = arrive()
        await withTaskCancellationHandler {
            await wait(id, unlessCancelled: true)
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
        if !state.withLock({ $0.isOpen }) { try Task.checkCancellation() }
    }

    /// Waits until the gate is open, whatever is cancelled: a body that hangs.
    func hang() async { await wait(arrive(), unlessCancelled: false) }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for continuation in waiting { continuation.resume() }
    }

    private func arrive() -> Int {
        defer { pulse.ring() }
        return state.withLock { state in
            state.arrivals += 1
            state.last += 1
            return state.last
        }
    }

    private func wait(_ id: Int, unlessCancelled: Bool) async {
        await withCheckedContinuation { continuation in
            let goesOn = state.withLock { state in
                if state.isOpen || (unlessCancelled && Task.isCancelled) { return true }
                state.waiting[id] = continuation
                return false
            }
            if goesOn { continuation.resume() }
        }
    }
}
