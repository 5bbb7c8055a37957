import Perdure
package import PerdureHistory
package import PerdureStore

/// What can be said for certain of one run: that today's code retells its history, that every event continues the state before it, that
/// nothing was changed afterwards, and who did what on the way.
package struct RunProof: Sendable {
    package enum Verdict: Sendable, Hashable {
        case proven
        /// With the first thing that is wrong.
        case refuted(String)
        /// It cannot be said here, and why. Never to be taken for a proof.
        case notProven(String)

        package var name: String {
            switch self {
            case .proven: "proven"
            case .refuted: "refuted"
            case .notProven: "not_proven"
            }
        }

        package var reason: String? {
            switch self {
            case .proven: nil
            case .refuted(let reason), .notProven(let reason): reason
            }
        }

        package var isRefuted: Bool {
            if case .refuted = self { true } else { false }
        }
    }

    /// The code of this executable, fed with the history, asks for what the history has, and ends as it ended.
    package var replay: Verdict
    /// No completed step again, attempts counted on, every event on the state that those before define.
    package var continuity: Verdict
    /// Gapless, in order, and nothing changed since it was written.
    package var chain: Verdict
    /// What befell the run and who moved it, in order.
    package var facts: [RunFact]

    package var isRefuted: Bool { [replay, continuity, chain].contains(where: \.isRefuted) }

    /// Rules of the verifier that are about the chain of evidence; all others are about the state.
    private static let chainRules: Set<HistoryVerifier.Rule> = [.chain, .readable, .beginning, .row, .succession]

    /// - Parameters:
    ///   - rehearsal: What came of feeding the history to the code; nil if there is none, with the reason.
    package init(
        _ record: RunRecord, _ events: [Event], _ report: HistoryVerifier.Report, rehearsal: Result<RunRehearsal, NoRehearsal>
    ) {
        let chainProblem = report.problems.first { Self.chainRules.contains($0.rule) }
        chain = chainProblem.map { .refuted($0.message) } ?? .proven
        facts = RunFact.facts(of: events)
        if let last = report.expiredAfter {
            let reason = "the history was removed after event \(last), as its retention says"
            (replay, continuity) = (.notProven(reason), .notProven(reason))
            return
        }
        guard chainProblem == nil || chainProblem?.rule == .row || chainProblem?.rule == .succession else {
            let reason = "the history itself does not hold together"
            (replay, continuity) = (.notProven(reason), .notProven(reason))
            return
        }
        replay = Self.replay(rehearsal)
        var problems = StateContinuity(events).problems.map { (seq: $0.seq, message: $0.message) }
        problems += report.problems.filter { !Self.chainRules.contains($0.rule) }.map { ($0.seq ?? .max, $0.message) }
        let first = problems.min { $0.seq < $1.seq }
        continuity = first.map { .refuted($0.seq == .max ? $0.message : "event \($0.seq): \($0.message)") } ?? .proven
    }

    private static func replay(_ rehearsal: Result<RunRehearsal, NoRehearsal>) -> Verdict {
        switch rehearsal {
        case .failure(let error): return .notProven(error.reason)
        case .success(let rehearsal):
            switch rehearsal.verdict {
            case .fits: return rehearsal.otherEnd.map(Verdict.refuted) ?? .proven
            case .blocks(let divergence): return .refuted(divergence.message)
            case .noCode:
                let record = rehearsal.record
                return .notProven("the code is not here: this executable does not host \(record.workflow) \(record.version)")
            case .unreadable(let message): return .notProven(message)
            }
        }
    }

    /// The code could not even be tried.
    package struct NoRehearsal: Error, Sendable {
        package var reason: String
        package init(_ reason: String) { self.reason = reason }
    }
}
