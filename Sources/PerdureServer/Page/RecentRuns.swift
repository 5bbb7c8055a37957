internal import Foundation
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// How the runs of each workflow went that were started last: a sample for people, counted now and then and not at every look.
actor RecentRuns {
    /// What the sample says of one workflow.
    struct Figures: Sendable {
        var completed = 0
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
    /// Runs with longer histories are not in it.
    private static let mostEvents = 1_000

    /// Whoever asks meanwhile waits for the same count.
    private var known: [String: (at: ContinuousClock.Instant, count: Task<[String: Figures], any Error>)] = [:]
    private static let mostNamespaces = 100

    func figures(_ namespace: String, _ client: Client) async throws -> [String: Figures] {
        if let known = known[namespace], known.at.duration(to: .now) < Self.keptFor { return try await known.count.value }
        if known.count >= Self.mostNamespaces { known = [:] }
        let count = Task { try await Self.count(namespace, client) }
        known[namespace] = (.now, count)
        do {
            return try await count.value
        } catch {
            known[namespace] = nil
            throw error
        }
    }

    private static func count(_ namespace: String, _ client: Client) async throws -> [String: Figures] {
        var figures: [String: Figures] = [:]
        let filter = RunFilter(namespace: namespace, states: [.completed], limit: sample)
        for record in try await client.readable(filter).runs {
            guard let end = record.closedAt, record.tombstone == nil else { continue }
            do {
                let events = try await client.guarded {
                    try await client.store.events(of: record.number, before: .max, limit: mostEvents)
                }
                // Of a long history nobody knows from its newest part alone.
                guard events.last?.seq == 1 else { continue }
                figures[record.workflow, default: Figures()].completed += 1
                if !events.contains(where: { $0.failedAttempt != nil }) { figures[record.workflow]?.atFirstAttempt += 1 }
                figures[record.workflow]?.durations.append(end.duration(since: record.createdAt))
            } catch let error as PerdureError where error.isAboutOneHistory {
                continue
            }
        }
        return figures
    }
}
