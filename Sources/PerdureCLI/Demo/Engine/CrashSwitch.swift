import Foundation
import Synchronization

/// Kills this very process, with SIGKILL, when its rule's moment has come: no handler runs, no buffer is flushed, no lock released.
final class CrashSwitch: Sendable {
    private let rule: CrashRule?
    private let reporter: Reporter
    private let passed = Mutex(0)

    init(_ rule: CrashRule?, reporter: Reporter) {
        self.rule = rule
        self.reporter = reporter
    }

    /// Called at every moment that a rule could mean.
    func pass(_ moment: CrashRule.Moment, _ what: String = "", subject: String = "", workflow: String = "") {
        guard let rule, rule.moment == moment, what.hasPrefix(rule.what), subject.hasPrefix(rule.subject),
            rule.workflow.isEmpty || workflow.isEmpty || rule.workflow == workflow
        else { return }
        passed.withLock { passed in
            passed += 1
            guard passed == rule.count else { return }
            reporter.report(EngineReport(what: .crash, detail: Self.detail(moment, what, subject)))
            kill(getpid(), SIGKILL)
            // Dead before this; a signal to oneself is delivered before the call returns.
            while true { pause() }
        }
    }

    private static func detail(_ moment: CrashRule.Moment, _ what: String, _ subject: String) -> String {
        let event = [what, subject].filter { !$0.isEmpty }.joined(separator: " ")
        return switch moment {
        case .beforeCommit: "about to commit \(event)"
        case .afterCommit: "\(event) is committed, nobody was told"
        case .sent: "\(event) is sent"
        case .answered: "\(event) is answered, nothing is recorded"
        case .takeover: "\(event) was taken over from a dead process"
        }
    }
}
