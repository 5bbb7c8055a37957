import Foundation
import Synchronization

/// What happens outside of histories: how often bodies were executed, and when the workflows' code went on.
final class Recorder: Sendable {
    private struct State {
        var seconds: [Double] = []
        var moments: [Int: Double] = [:]
    }

    private let bodies = Atomic<Int>(0)
    private let state = Mutex(State())
    /// Whether workflows note how long each step took.
    let timesSteps: Bool
    /// Called by every body, and by every workflow when all of its steps are done.
    let onProgress: @Sendable (_ run: Int, _ step: Int?) -> Void

    init(timesSteps: Bool = false, onProgress: @escaping @Sendable (_ run: Int, _ step: Int?) -> Void = { _, _ in }) {
        self.timesSteps = timesSteps
        self.onProgress = onProgress
    }

    /// Bodies executed so far.
    var executed: Int { bodies.load(ordering: .relaxed) }

    func body(_ run: Int, _ step: Int) {
        // What only warms up has a negative number.
        guard run >= 0 else { return }
        bodies.wrappingAdd(1, ordering: .relaxed)
        onProgress(run, step)
    }

    func took(_ seconds: Double) { state.withLock { $0.seconds.append(seconds) } }

    /// The moment at which the code of a run went on, the first time it did: microseconds since 1970.
    func wentOn(_ run: Int) {
        let now = Date().timeIntervalSince1970 * 1e6
        state.withLock { if $0.moments[run] == nil { $0.moments[run] = now } }
    }

    var stepSeconds: [Double] { state.withLock { $0.seconds } }
    var moments: [Int: Double] { state.withLock { $0.moments } }
}
