package import PerdureHistory
package import PerdureStore

/// What came of feeding a recorded history to the code of this executable, without recording or starting anything.
package struct RunRehearsal: Sendable {
    package enum Verdict: Sendable, Hashable {
        /// The code asks for what the history has.
        case fits
        /// The run would be blocked for this build.
        case blocks(Divergence)
        /// This executable has no code for the run's workflow and version.
        case noCode
        /// The history does not hold together, or is of a later release.
        case unreadable(String)
    }

    /// A process died while it owned the run, and another build has gone on with it, or would. A plain idempotent step that was under way
    /// then, and that the later build does not ask for, has left no trace.
    package struct UncleanEnd: Sendable, Hashable {
        /// The `run.resumed` of whoever took the run over; nil if nobody has yet.
        package var seq: Int64?
        package var at: Timestamp?
        /// The build that died.
        package var build: String
        /// The build that went on, or would.
        package var heir: String
        /// The steps, other than reads, that the code of this executable has outstanding at that place: these are settled.
        package var asked: [String]

        package init(seq: Int64?, at: Timestamp?, build: String, heir: String, asked: [String]) {
            self.seq = seq
            self.at = at
            self.build = build
            self.heir = heir
            self.asked = asked
        }
    }

    package var record: RunRecord
    package var verdict: Verdict
    package var uncleanEnds: [UncleanEnd]
    /// How the code ends otherwise than the history of a run that is closed, as a sentence; nil if it does not. It blocks nothing.
    package var otherEnd: String?

    static func unreadable(_ record: RunRecord, _ message: String) -> RunRehearsal {
        RunRehearsal(record: record, verdict: .unreadable(message), uncleanEnds: [])
    }

    /// Whether a deployment of this executable would leave the run where it is, or lose sight of what it was doing.
    package var needsAttention: Bool {
        switch verdict {
        case .fits: uncleanEnds.contains { $0.seq == nil }
        case .blocks, .noCode, .unreadable: true
        }
    }
}
