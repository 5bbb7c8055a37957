import CoreMetrics
import Logging
import Perdure
import PerdureHistory
import PerdureStore

// Removing histories that are past their time, a little at a time, so that runs hardly notice.
extension Engine {
    private static let rowsAtOnce = 2_000
    private static let pauseBetweenBatches = Duration.milliseconds(100)
    private static let pauseBetweenRounds = Duration.seconds(60)

    /// Removes round after round until its task is cancelled.
    func keepRetention() async {
        guard configuration.retention != nil || configuration.tombstoneRetention != nil, configuration.duty != .visitor else {
            return
        }
        var told: Set<Int64> = []
        repeat {
            do {
                // Of several keepers one is enough.
                guard try await keeperShare().number == 0 else { continue }
                try await expireOnce(&told)
                if upkeep.succeeded(.retention, at: store.now()) { logger.notice("what has expired can be removed again") }
            } catch {
                if upkeep.failed(.retention, error) {
                    logger.error("what has expired cannot be removed", metadata: ["error": "\(error)"])
                }
            }
        } while await pause(Self.pauseBetweenRounds)
    }

    /// - Parameter told: The runs that cannot be read and of which that was said before.
    private func expireOnce(_ told: inout Set<Int64>) async throws(StoreError) {
        let now = store.now()
        var request = ExpiryRequest(
            closedBefore: configuration.retention.map { now - $0 },
            expiredBefore: configuration.tombstoneRetention.map { now - $0 },
            limit: Self.rowsAtOnce)
        var count = 0
        while true {
            let answer = try await store.expire(request)
            count += answer.expired
            upkeep.removed(histories: answer.expired, tombstones: answer.removed)
            metrics.expired.increment(by: answer.expired)
            for run in answer.unreadable where told.insert(run.number).inserted {
                logger.error(
                    "a closed run cannot be read and does not expire",
                    metadata: ["run": "\(run.id.map(\.description) ?? "number \(run.number)")", "error": "\(run.reason)"])
            }
            request.position = answer.position
            if answer.isDone { break }
            guard await pause(Self.pauseBetweenBatches) else { break }
        }
        if count > 0 { logger.info("histories have expired", metadata: ["runs": "\(count)"]) }
    }

    /// Waits, whatever the clock is set to. Returns whether the task goes on: cancelled, it ends at once.
    func pause(_ duration: Duration) async -> Bool {
        let bell = Bell()
        scheduler.schedule(afterRest: duration) { bell.ring() }
        var rings = bell.rings.makeAsyncIterator()
        return await rings.next() != nil && !Task.isCancelled
    }
}
