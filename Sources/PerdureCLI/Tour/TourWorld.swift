import Perdure
import PerdureTesting
import Synchronization

/// The other side of the tour. It goes by keys as strictly as it can: one that comes with something else than before is told.
final class TourWorld: TestWorld {
    private struct State {
        var counts: [String: Int] = [:]
        /// What each key was used for.
        var keys: [String: String] = [:]
    }

    private let state = Mutex(State())

    var effects: [String: Int] { state.withLock { state in state.counts.filter { $0.value != 0 } } }

    /// Does something, once for each key.
    func does(_ effect: String, _ step: StepContext) { use(step.idempotencyKey, for: effect, by: 1) }

    /// Does something each time it is called.
    func does(_ effect: String) { state.withLock { $0.counts[effect, default: 0] += 1 } }

    /// Takes something back, once for each key; what is not there is left alone.
    func undoes(_ effect: String, _ step: StepContext) { use(step.idempotencyKey, for: effect, by: -1) }

    func stands(_ effect: String) -> Bool { state.withLock { $0.counts[effect, default: 0] > 0 } }

    private func use(_ key: String, for effect: String, by change: Int) {
        state.withLock { state in
            if let known = state.keys.updateValue(effect, forKey: key) {
                if known != effect { state.counts["the key of '\(known)' came with '\(effect)'", default: 0] += 1 }
                return
            }
            state.counts[effect] = max(0, state.counts[effect, default: 0] + change)
        }
    }
}

/// It did not happen, and may the next time.
struct TourBusy: ClassifiedError {
    var isDefinite: Bool { true }
}

/// Nobody knows whether it happened.
struct TourSilence: Error {}

/// Whether a body was told to stop.
final class TourBell: Sendable {
    private struct State {
        var isRung = false
        var waiter: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    private func ring() {
        state.withLock { state in
            state.isRung = true
            return state.waiter.take()
        }?.resume()
    }

    private func wait() async {
        await withUnsafeContinuation { continuation in
            let isRung = state.withLock { state in
                if !state.isRung { state.waiter = continuation }
                return state.isRung
            }
            if isRung { continuation.resume() }
        }
    }

    /// Returns when the task is cancelled: a body that is told to stop, and goes on all the same.
    static func untilToldToStop() async {
        let bell = TourBell()
        await withTaskCancellationHandler {
            await bell.wait()
        } onCancel: {
            bell.ring()
        }
    }
}
