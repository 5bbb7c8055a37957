import Perdure
import Synchronization

/// What a node knows of its own lease: until when nobody can have ended the node, on a clock of its own that is never set and goes on while
/// the machine sleeps.
///
/// The store is not asked before each step; that would tell no more, since the answer is as old when it arrives. The renewals say it.
final class NodeLease: Sendable {
    private struct State {
        /// When the last renewal that was confirmed had been asked for.
        var renewed: Duration
        var isLost = false
        var lastWaiter: UInt64 = 0
        var waiting: [UInt64: UnsafeContinuation<Void, Never>] = [:]

        /// In the order in which they came.
        mutating func takeWaiting() -> [UnsafeContinuation<Void, Never>] {
            defer { waiting = [:] }
            return waiting.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    let length: Duration
    private let clock: any EngineClock
    private let state: Mutex<State>

    /// - Parameter begin: When the registration was asked for with which the first lease began, on the clock's `elapsed`.
    init(length: Duration, since begin: Duration, clock: any EngineClock) {
        self.length = length
        self.clock = clock
        state = Mutex(State(renewed: begin))
    }

    /// Clocks do not go equally fast, and what is sent takes its time: the last sixth of a lease does not count.
    private var usable: Duration { length - length / 6 }

    /// Whether it is certain that the node has its runs.
    var isHeld: Bool { isHeld(state.withLock { $0 }) }

    private func isHeld(_ state: State) -> Bool { !state.isLost && clock.elapsed < state.renewed + usable }

    /// How long the next renewal may wait.
    var untilRenewal: Duration { max(.zero, state.withLock { $0.renewed } + length / 3 - clock.elapsed) }

    /// The store has confirmed a renewal that was asked for at this time.
    func noteRenewal(since begin: Duration) {
        let waiting = state.withLock { state in
            state.renewed = max(state.renewed, begin)
            return isHeld(state) ? state.takeWaiting() : []
        }
        for waiter in waiting { waiter.resume() }
    }

    /// Others may have the runs by now, and nothing changes that.
    func lose() {
        let waiting = state.withLock { state in
            state.isLost = true
            return state.takeWaiting()
        }
        for waiter in waiting { waiter.resume() }
    }

    /// Waits until it is certain that the node has its runs. Returns false if it is lost, or the task was cancelled.
    func untilHeld() async -> Bool {
        while true {
            if Task.isCancelled { return false }
            let number = state.withLock { state -> UInt64? in
                if state.isLost || isHeld(state) { return nil }
                state.lastWaiter += 1
                return state.lastWaiter
            }
            guard let number else { return isHeld }
            await wait(number)
        }
    }

    private func wait(_ number: UInt64) async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isLost || isHeld(state) { return true }
                    state.waiting[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
        }
    }
}
