import CoreMetrics
import Logging
import PerdureHistory
import PerdureStore
import Synchronization

// Giving places in queues to the runs whose turn has come. Every engine does it, whatever it hosts: the store sees to it that no more are
// given than the limits allow.
extension Engine {
    /// Admits what can be admitted, and has the pump look again when there is cause to.
    func admitQueued() async throws(StoreError) {
        if let rest = admissions.begin(at: clock.elapsed) {
            guard admissions.beginWait() else { return }
            scheduler.schedule(after: rest) { [admissions, bell] in
                admissions.endWait()
                bell.ring()
            }
            return
        }
        let admission = try await store.admit()
        if admission != Admission() { admissions.noteQueue() }
        if admission.admitted > 0 {
            metrics.admitted.increment(by: admission.admitted)
            logger.debug("runs were admitted from their queues", metadata: ["runs": "\(admission.admitted)"])
        }
        guard let next = admission.next else { return scheduler.switchOff(admissions.alarm) }
        scheduler.set(admissions.alarm, at: next) { [bell] in bell.ring() }
    }
}

/// Whether there are queues, and when this engine has admitted last: many runs that end at once are one cause to admit others.
final class AdmissionWatch: Sendable {
    private struct State {
        /// Whether there is a queue, as far as this engine has seen.
        var hasQueues = false
        var last: Duration?
        var isWaiting = false
    }

    let alarm: Scheduler.Alarm
    private let state = Mutex(State())
    /// The least time between two admissions.
    private static let pause = Duration.milliseconds(5)

    init(alarm: Scheduler.Alarm) { self.alarm = alarm }

    var hasQueues: Bool { state.withLock { $0.hasQueues } }

    /// There are queues.
    func noteQueue() { state.withLock { $0.hasQueues = true } }

    /// Notes that it is admitted now; or says how long that has to wait.
    func begin(at now: Duration) -> Duration? {
        state.withLock { state in
            if state.hasQueues, let last = state.last, now >= last, now - last < Self.pause { return Self.pause - (now - last) }
            state.last = now
            return nil
        }
    }

    /// Returns whether nobody has seen to the next admission yet.
    func beginWait() -> Bool {
        state.withLock { state in
            defer { state.isWaiting = true }
            return !state.isWaiting
        }
    }

    func endWait() { state.withLock { $0.isWaiting = false } }
}
