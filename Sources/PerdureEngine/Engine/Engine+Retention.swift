import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore

// Removing histories that are past their time, a little at a time, so that runs hardly notice.
extension Engine {
    private static let pauseBetweenRounds = Duration.seconds(60)
    /// Where nothing is set there is nothing to do until somebody sets it.
    private static let pauseWithoutTerms = Duration.seconds(600)

    /// Removes round after round until its task is cancelled. Whether there is anything to remove is asked each time: what is set for
    /// namespaces may change while the engine runs.
    func keepRetention() async {
        guard configuration.keepsRetention, configuration.duty != .visitor else { return }
        let metrics = metrics, upkeep = upkeep
        var archivist = Archivist(
            store,
            terms: RetentionTerms(closedAfter: configuration.retention, removedAfter: configuration.tombstoneRetention),
            archive: configuration.archive, logger: logger
        ) { [self] in await pause($0) }
        var rest = Self.pauseBetweenRounds
        repeat {
            rest = Self.pauseBetweenRounds
            do {
                let report = try await archivist.round { part in
                    metrics.archived.increment(by: part.archived)
                    metrics.expired.increment(by: part.expired)
                    upkeep.removed(histories: part.expired, tombstones: part.removed, archived: part.archived)
                }
                if !report.hasTerms { rest = Self.pauseWithoutTerms }
                // Whoever puts them there has said it.
                if let trouble = report.trouble {
                    upkeep.failed(.archive, trouble)
                } else if configuration.archive != nil {
                    upkeep.succeeded(.archive, at: store.now())
                }
                if upkeep.succeeded(.retention, at: store.now()) { logger.notice("what has expired can be removed again") }
            } catch {
                if upkeep.failed(.retention, error) {
                    logger.error("what has expired cannot be removed", metadata: ["error": "\(error)"])
                }
            }
        } while await pause(rest)
    }

    /// Waits, whatever the clock is set to. Returns whether the task goes on: cancelled, it ends at once.
    func pause(_ duration: Duration) async -> Bool {
        let bell = Bell()
        scheduler.schedule(afterRest: duration) { bell.ring() }
        var rings = bell.rings.makeAsyncIterator()
        return await rings.next() != nil && !Task.isCancelled
    }
}
