import CoreMetrics
import Logging
import PerdureHistory
import PerdureStore
import Synchronization

// Giving places in queues to the runs whose turn has come. Every engine does it, whatever it hosts: the store sees to it that no more are
// given than the limits allow. What becomes of it holds up no claim.
extension Engine {
    /// Admits whenever something rings, until its task is cancelled.
    func keepAdmitting() async {
        // Said once for as long as it lasts.
        var isCutOff = false
        for await _ in admissions.bell.rings {
            if Task.isCancelled { break }
            if admissions.hasQueues, !admissions.pace.allows(clock, orRings: admissions.bell, by: scheduler) { continue }
            let trouble: String?
            do {
                trouble = try await admitQueued()
            } catch {
                trouble = "\(error)"
            }
            if let trouble {
                if !isCutOff {
                    logger.error("runs cannot be admitted from their queues; trying again", metadata: ["error": "\(trouble)"])
                }
                scheduler.schedule(after: .seconds(1)) { [admissions] in admissions.bell.ring() }
            } else if isCutOff {
                logger.notice("runs can be admitted from their queues again")
            }
            isCutOff = trouble != nil
        }
    }

    /// Admits what can be admitted, and looks again when there is cause to. Returns why some could not be.
    private func admitQueued() async throws(StoreError) -> String? {
        let admission = try await store.admit()
        if admission != Admission() { admissions.noteQueue() }
        if admission.admitted > 0 {
            metrics.admitted.increment(by: admission.admitted)
            logger.debug("runs were admitted from their queues", metadata: ["runs": "\(admission.admitted)"])
            bell.ring()
        }
        if let next = admission.next {
            scheduler.set(admissions.alarm, at: next) { [admissions] in admissions.bell.ring() }
        } else {
            scheduler.switchOff(admissions.alarm)
        }
        return admission.trouble
    }
}

/// What tells this engine to admit, and whether there are queues as far as it has seen.
final class AdmissionWatch: Sendable {
    let bell = Bell()
    let alarm: Scheduler.Alarm
    /// Many runs that end at once are one cause to admit others.
    let pace = Pace(.milliseconds(5))
    private let isNoted = Atomic<Bool>(false)

    init(alarm: Scheduler.Alarm) { self.alarm = alarm }

    var hasQueues: Bool { isNoted.load(ordering: .relaxed) }

    /// There are queues. Before that is known nothing is held back, since nothing is done.
    func noteQueue() { isNoted.store(true, ordering: .relaxed) }

    /// Somebody may have left a place, or have come for one.
    func ringIfAny() {
        if hasQueues { bell.ring() }
    }
}
