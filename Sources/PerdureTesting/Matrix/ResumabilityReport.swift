public import Foundation
public import PerdureEngine

/// What came of interrupting a workflow at every one of its checkpoints.
public struct ResumabilityReport: Sendable, Codable {
    /// A place at which the workflow can be interrupted.
    public struct Checkpoint: Sendable, Codable, Hashable {
        /// Counted from 1, commits and bodies apart.
        public var number: Int
        /// Whether it is a commit; otherwise it is a body that is about to run.
        public var isCommit: Bool
        /// What is committed or run, as history names it.
        public var what: String

        /// What it is, in a line.
        public var description: String { "\(isCommit ? "commit" : "body") \(number): \(what)" }
    }

    /// One interruption at one checkpoint, and what came of it.
    public struct Trial: Sendable, Codable {
        /// What was done to it.
        public var interruption: Interruption
        /// `nil` if it is done to the run as a whole.
        public var checkpoint: Checkpoint?
        /// How the run ended: its state.
        public var end: String
        /// How many processes died.
        public var deaths: Int
        /// How often a run was taken over from a process that had died or lost its lease.
        public var takeovers: Int
        /// Attempts that were made again because nobody could know of them.
        public var repeatedAttempts: Int
        /// What a person had to decide, since nobody else could know.
        public var decisions: [String]
        /// What is wrong; empty is good.
        public var violations: [String]
        /// The history at the end, of trials with violations.
        public var history: [String]?
    }

    /// The workflow's name.
    public var workflow: String
    /// The version that was tried.
    public var version: String
    /// How the undisturbed run ended.
    public var end: String
    /// What stood in the world then.
    public var effects: [String: Int]
    /// The places at which it can be interrupted, in the order of the undisturbed run.
    public var checkpoints: [Checkpoint]
    /// Everything that was tried.
    public var trials: [Trial]
    /// What looks safe and may not be.
    public var warnings: [String]
    /// What the histories of all trials tell of steps, for a `WorkflowInventory`: of the workflow, and of its children.
    public var sightings: [WorkflowInventory.Sighting]

    /// Whether every interruption was survived. A report without any says nothing, and `CrashMatrix` makes none.
    public var isResumable: Bool { trials.allSatisfy { $0.violations.isEmpty } }

    /// As JSON with sorted keys, which are named as in all reports: `repeated_attempts`. A decoder with `convertFromSnakeCase` reads it.
    public var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }

    // MARK: Text

    /// The first violation, told as a story with the history of that trial; `nil` if there is none.
    public var story: String? {
        guard let trial = trials.first(where: { !$0.violations.isEmpty }) else { return nil }
        var lines = [
            "\(workflow) \(version) does not survive an interruption.", "",
            trial.checkpoint.map { "At \($0.description), \(trial.interruption.sentence)." }
                ?? "When \(trial.interruption.sentence):",
            "Undisturbed the run ends as \(end). Here it ended as \(trial.end), after \(trial.deaths) deaths of its process.", "",
        ]
        lines += trial.violations.map { "- \($0)" }
        if let history = trial.history {
            lines += ["", "The history then:"] + history.map { "    \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    /// The whole report as a page of Markdown.
    public var markdown: String {
        var lines = ["# \(workflow) \(version)", ""]
        let bad = trials.count { !$0.violations.isEmpty }
        lines.append(
            isResumable
                ? "**Survives every interruption.** \(checkpoints.count) checkpoints, \(trials.count) interruptions."
                : "**Does not survive** \(bad) of \(trials.count) interruptions at \(checkpoints.count) checkpoints.")
        lines += ["", "Undisturbed it ends as \(end), with these effects: \(Self.list(effects)).", ""]
        lines += ["| interruption | tried | survived | repeated attempts | decisions of a person |", "|---|---|---|---|---|"]
        for interruption in Interruption.allCases {
            let some = trials.filter { $0.interruption == interruption }
            guard !some.isEmpty else { continue }
            lines.append(
                "| \(interruption.rawValue) | \(some.count) | \(some.count { $0.violations.isEmpty }) "
                    + "| \(some.map(\.repeatedAttempts).reduce(0, +)) | \(some.map(\.decisions.count).reduce(0, +)) |")
        }
        if !warnings.isEmpty { lines += ["", "## What may only look safe", ""] + warnings.map { "- \($0)" } }
        let decisions = Set(trials.flatMap(\.decisions)).sorted()
        if !decisions.isEmpty { lines += ["", "## What a person has to decide", ""] + decisions.map { "- \($0)" } }
        lines += ["", "## Checkpoints", ""] + checkpoints.map { "1. \($0.description)" }
        if let story { lines += ["", "## The first violation", "", story] }
        return lines.joined(separator: "\n") + "\n"
    }

    static func list(_ effects: [String: Int]) -> String {
        effects.isEmpty ? "none" : effects.sorted { $0.key < $1.key }.map { "\($0.key) × \($0.value)" }.joined(separator: ", ")
    }
}
