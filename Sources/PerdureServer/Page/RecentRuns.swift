internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// How the runs of each workflow went that were started last: a sample for people, counted now and then and not at every look.
actor RecentRuns {
    /// What the sample says of one workflow.
    struct Figures: Sendable {
        var closed = 0
        /// None of their attempts failed.
        var atFirstAttempt = 0
        var durations: [Duration] = []

        /// - Parameter share: From 0 to 1.
        func duration(below share: Double) -> Duration? {
            guard !durations.isEmpty else { return nil }
            let sorted = durations.sorted()
            return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }
    }

    static let sample = 200
    private static let keptFor = Duration.seconds(20)
    /// Of a longer history the newest part is looked at.
    private static let mostEvents = 200

    private var known: [String: (at: ContinuousClock.Instant, figures: [String: Figures])] = [:]

    func figures(_ namespace: String, _ client: Client) async throws -> [String: Figures] {
        if let known = known[namespace], known.at.duration(to: .now) < Self.keptFor { return known.figures }
        var figures: [String: Figures] = [:]
        let closed: [RunState] = [.completed, .failed, .cancelled, .terminated]
        for record in try await client.readable(RunFilter(namespace: namespace, states: closed, limit: Self.sample)).runs {
            guard let end = record.closedAt, record.tombstone == nil else { continue }
            let events = try await client.guarded {
                try await client.store.events(of: record.number, before: .max, limit: Self.mostEvents)
            }
            figures[record.workflow, default: Figures()].closed += 1
            if !events.contains(where: { $0.failedAttempt != nil }) { figures[record.workflow]?.atFirstAttempt += 1 }
            figures[record.workflow]?.durations.append(end.duration(since: record.createdAt))
        }
        known[namespace] = (.now, figures)
        return figures
    }
}
