package import Perdure
package import PerdureHistory
import Synchronization

/// How what an engine does beside its runs goes, for those who watch over it.
package final class Upkeep: Sendable {
    package enum Work: Sendable, Hashable { case schedules, retention, archive, verification }

    /// How one kind of work stands.
    package struct Standing: Sendable {
        /// When it was done last, on the store's clock.
        package var doneAt: Timestamp?
        /// Why it could not be done the last time.
        package var problem: String?
    }

    /// A history that does not hold together, or a row that cannot be read.
    package struct Finding: Sendable {
        package let number: Int64
        /// Nil if that cannot be read.
        package let run: RunID?
        package let seq: Int64?
        package let rule: HistoryVerifier.Rule
        package let message: String
        /// When it was found first.
        package let at: Timestamp
    }

    package struct State: Sendable {
        package var work: [Work: Standing] = [:]
        package var expired = 0
        package var removedTombstones = 0
        package var archived = 0
        package var verified = 0
        /// By the numbers of the runs.
        package var findings: [Int64: Finding] = [:]
        /// Where the rounds of the verification are.
        package var round: VerificationPlan.Place?
        /// By how much time the verification is behind its rounds.
        package var behind = Duration.zero
        /// How many parts of rounds were left out of late, because the verification was late by a whole round.
        package var leftOut: Int64 = 0
        /// The part that was on when that happened last.
        var leftOutAt: Int64 = 0
        package init() {}
    }

    private let mutex = Mutex(State())

    package init() {}

    package var state: State { mutex.withLock { $0 } }

    /// Goes on with what an engine before has found in the same store. To be called before this one's runs.
    package func takeOver(_ earlier: Upkeep) {
        let findings = earlier.state.findings
        mutex.withLock { $0.findings = findings }
    }

    /// Returns whether that has to be said: the time before it had worked.
    func failed(_ work: Work, _ error: any Error) -> Bool { failed(work, "\(error)") }

    @discardableResult
    func failed(_ work: Work, _ problem: String) -> Bool {
        mutex.withLock { state in
            defer { state.work[work, default: Standing()].problem = problem }
            return state.work[work]?.problem == nil
        }
    }

    /// Returns whether that has to be said: the time before it had not worked.
    @discardableResult
    func succeeded(_ work: Work, at now: Timestamp) -> Bool {
        mutex.withLock { state in
            defer { state.work[work] = Standing(doneAt: now) }
            return state.work[work]?.problem != nil
        }
    }

    func removed(histories: Int, tombstones: Int, archived: Int) {
        mutex.withLock { state in
            state.archived += archived
            state.expired += histories
            state.removedTombstones += tombstones
        }
    }

    func verified() { mutex.withLock { $0.verified += 1 } }

    func verifies(_ place: VerificationPlan.Place, behind: Duration) {
        mutex.withLock { state in
            state.round = place
            state.behind = behind
        }
    }

    func leavesOut(_ parts: Int64, until part: Int64) {
        mutex.withLock { state in
            state.leftOut += parts
            state.leftOutAt = part
        }
    }

    /// A round without any left out makes up for it.
    func forgetLeftOut(before part: Int64) {
        mutex.withLock { if $0.leftOutAt < part { $0.leftOut = 0 } }
    }

    /// Returns whether that has to be said: it was not known, or something else was.
    func found(_ finding: Finding) -> Bool {
        mutex.withLock { state in
            if let known = state.findings[finding.number], known.rule == finding.rule, known.seq == finding.seq { return false }
            state.findings[finding.number] = finding
            return true
        }
    }

    /// Returns whether it was not before.
    func isSound(_ number: Int64) -> Bool { mutex.withLock { $0.findings.removeValue(forKey: number) != nil } }
}
