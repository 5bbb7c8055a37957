/// What a swarm came to.
package struct SwarmReport: Codable, Sendable {
    package var seed: UInt64 = 0
    /// The defence that was taken out, if one was.
    package var without: String?
    package var seconds = 0.0
    /// Runs that were to be started, and those that there are, children included.
    package var wanted = 0
    package var runs = 0
    package var children = 0
    /// By the state in which they ended.
    package var states: [String: Int] = [:]
    package var events = 0
    package var kills = 0
    /// How often a run was taken over from a dead process.
    package var takeovers = 0
    package var requests = 0
    package var recognised = 0
    package var unanswered = 0
    package var probes = 0
    package var effects = 0
    package var undone = 0
    package var inDoubt = 0
    package var signalsSent = 0
    package var cancellations = 0
    /// Things that happened more than once, or were taken back more than once.
    package var duplicates = 0
    /// Things that are lost: runs, signals, effects that a history or a result speaks of and that never happened.
    package var lost = 0
    /// Effects that stand although nobody wants them, or are taken back although somebody does.
    package var wrong = 0
    /// Histories, rows and families that do not hold together.
    package var broken = 0
    /// The first of what was found, in words.
    package var findings: [String] = []

    package var isGood: Bool { duplicates + lost + wrong + broken == 0 }

    private static let findingLimit = 40

    mutating func note(_ count: WritableKeyPath<SwarmReport, Int>, _ words: @autoclosure () -> String) {
        self[keyPath: count] += 1
        if findings.count < Self.findingLimit { findings.append(words()) }
    }

    var text: String {
        let ends = states.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        var lines = [
            "\(wanted) runs and \(children) children in \(Int(seconds)) s, seed \(seed)\(without.map { ", without \($0)" } ?? ""): \(ends).",
            "\(kills) kills, \(takeovers) runs taken over, \(events) events, \(signalsSent) signals, \(cancellations) cancellations.",
            "\(requests) requests at the other side, \(recognised) recognised by their key, \(unanswered) not answered, \(probes) probes.",
            "\(effects) effects, \(undone) taken back, \(inDoubt) times in doubt.",
        ]
        lines += findings.map { "  WRONG: \($0)" }
        lines.append(
            isGood
                ? "Nothing lost, nothing twice."
                : "\(duplicates) duplicates, \(lost) lost, \(wrong) wrong, \(broken) broken.")
        return lines.joined(separator: "\n")
    }

    package init() {}
}
