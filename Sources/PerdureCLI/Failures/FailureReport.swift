/// What the trial came to.
package struct FailureReport: Codable, Sendable {
    var seed: UInt64 = 0
    var without: String?
    var nodes = 0
    var seconds = 0.0
    package var faults = 0
    package var faultsByKind: [String: Int] = [:]
    /// Processes that have ended by themselves, having found that others have their runs.
    var lapsed = 0
    /// How often nodes have noticed that history went back, and how many runs that had been started were not there any more.
    package var restorations = 0
    package var lostRuns = 0
    package var runs = 0
    var events = 0
    package var takeovers = 0
    package var effects = 0
    package var duplicates = 0
    var lost = 0
    var wrong = 0
    var broken = 0
    /// From a fault until the runs of the node belong to others or are at rest, or, where none are known to have been struck, until a run
    /// closes again.
    package var longestRecoverySeconds = 0.0
    var longestRecoverySecondsByKind: [String: Double] = [:]
    package var findings: [String] = []

    enum CodingKeys: String, CodingKey {
        case seed, without, nodes, seconds, faults, lapsed, restorations, lostRuns, runs, events, takeovers, effects, duplicates,
            lost, wrong, broken,
            findings
        case faultsByKind
        case longestRecoverySeconds = "longestRecoveryS"
        case longestRecoverySecondsByKind = "longestRecoverySByKind"
    }

    package var isGood: Bool { duplicates + lost + wrong + broken == 0 }

    mutating func take(_ swarm: SwarmReport) {
        (runs, events, takeovers, effects) = (swarm.runs, swarm.events, swarm.takeovers, swarm.effects)
        (duplicates, lost, wrong, broken) = (swarm.duplicates, swarm.lost, swarm.wrong, swarm.broken)
        findings = swarm.findings
    }

    mutating func note(_ fault: ClusterFault) {
        faults += 1
        faultsByKind[fault.rawValue, default: 0] += 1
    }

    mutating func noteRecovery(from fault: ClusterFault, in time: Duration) {
        let seconds = Double(Int(time / .milliseconds(1))) / 1_000
        longestRecoverySeconds = max(longestRecoverySeconds, seconds)
        longestRecoverySecondsByKind[fault.rawValue] = max(longestRecoverySecondsByKind[fault.rawValue] ?? 0, seconds)
    }
}
