import Foundation
import PerdureBench

/// How a cluster was over one stretch of a soak, or at its end.
package struct SoakSample: Codable, Sendable {
    package var minute: Double
    package var runsPerSecond = 0.0
    var latencyP50Ms = 0.0
    var latencyP99Ms = 0.0
    package var openRuns = 0
    /// With tombstones.
    package var runs = 0
    package var deadTuples = 0.0
    var liveTuples = 0.0
    /// The table that has most of the dead ones.
    var deadestTable = ""
    package var walMbPerMinute = 0.0
    package var storeMb = 0.0
    package var nodesMemoryMb = 0.0
    package var serverMemoryMb = 0.0

    package init(minute: Double) { self.minute = minute }
}

/// Something that has to stay as it is.
package struct SoakTrend: Codable, Sendable {
    package var name: String
    /// Of the first half of what counts, and of the second one.
    package var before: Double
    package var after: Double
    package var isFlat: Bool

    enum CodingKeys: String, CodingKey {
        case name, before, after
        case isFlat = "flat"
    }
}

/// What a soak came to.
package struct SoakReport: Codable, Sendable {
    package var seconds = 0.0
    package var nodes = 0
    package var runs = 0
    package var failed = 0
    package var findings: [String] = []
    package var trends: [SoakTrend] = []
    package var samples: [SoakSample] = []

    package init() {}

    package var isGood: Bool { failed == 0 && findings.isEmpty && trends.allSatisfy(\.isFlat) }

    /// A measure with what it may differ by: as a share, and in its own unit, below which nothing is to be seen.
    private struct Measure: Sendable {
        let name: String
        let value: @Sendable (SoakSample) -> Double
        /// What stands for a half: most of them by their mean, what swings with every vacuum by its highest point.
        let summary: @Sendable ([Double]) -> Double
        let share: Double
        let unit: Double
    }

    private static let measures = [
        Measure(name: "latency_p50_ms", value: \.latencyP50Ms, summary: \.median, share: 1.3, unit: 5),
        Measure(name: "latency_p99_ms", value: \.latencyP99Ms, summary: \.median, share: 1.5, unit: 20),
        Measure(name: "wal_mb_per_minute", value: \.walMbPerMinute, summary: \.mean, share: 1.15, unit: 2),
        Measure(name: "store_mb", value: \.storeMb, summary: \.mean, share: 1.15, unit: 5),
        Measure(name: "dead_tuples", value: \.deadTuples, summary: { $0.max() ?? 0 }, share: 1.3, unit: 5_000),
        Measure(name: "nodes_memory_mb", value: \.nodesMemoryMb, summary: \.mean, share: 1.15, unit: 10),
        Measure(name: "server_memory_mb", value: \.serverMemoryMb, summary: \.mean, share: 1.25, unit: 20),
    ]

    /// The first quarter is warming up, in which tables and caches reach their size; the halves of the rest are compared. Fewer than
    /// `leastSamples` say nothing.
    package static let leastSamples = 16

    package static func trends(of samples: [SoakSample]) -> [SoakTrend] {
        guard samples.count >= leastSamples else { return [] }
        let counted = samples.dropFirst(samples.count / 4)
        let middle = counted.startIndex + counted.count / 2
        return measures.map { measure in
            let before = measure.summary(counted[..<middle].map(measure.value))
            let after = measure.summary(counted[middle...].map(measure.value))
            let limit = max(before * measure.share, before + measure.unit)
            return SoakTrend(name: measure.name, before: rounded(before), after: rounded(after), isFlat: after <= limit)
        }
    }

    static func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
}
