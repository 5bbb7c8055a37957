public import Foundation
import Perdure
import PerdureHistory
import PerdureStore

/// How the closed runs of a workflow came through: how many of them without a failed attempt, and what failed in the others.
public struct AttemptReport: Sendable, Codable, Hashable {
    /// The workflow's name.
    public var workflow: String
    /// How many runs have closed, in whatever way.
    public var closed = 0
    /// Of these, those none of whose attempts of steps and undos failed.
    public var atFirstAttempt = 0
    /// Attempts of steps and undos that failed: a body threw or did not come to its end in time.
    public var failedAttempts = 0
    /// Attempts that the engine could not make or record, as when its store could not be reached. Not among the others.
    public var failedByEngine = 0
    /// Closed runs of which nothing is known: their histories were removed, or cannot be read.
    public var unread = 0
}

extension AttemptReport {
    /// The share of the runs that are known which came through at the first attempt, from 0 to 1; nil if none is known.
    public var firstAttemptRate: Double? { closed > unread ? Double(atFirstAttempt) / Double(closed - unread) : nil }

    /// - Parameter failures: All of a run.
    mutating func add(_ failures: [FailedAttempt]) {
        if failures.isEmpty { atFirstAttempt += 1 }
        failedAttempts += failures.count { $0 == .ofStep }
        failedByEngine += failures.count { $0 == .ofEngine }
    }
}

extension Client {
    /// How the closed runs of each workflow came through. Every history that counts is read, a page at a time: meant for people and
    /// reports, not to be asked every second. `perdure_workflow_runs_closed_total` tells the same of the runs that end in this process.
    ///
    /// - Parameters:
    ///   - workflow: Only this one.
    ///   - since: Only runs that have closed since then.
    /// - Returns: A report for each workflow that has closed runs, by name; and why rows of runs were left out that cannot be read.
    /// - Throws: `PerdureError` with the store's code.
    public func attempts(
        of workflow: String? = nil, in namespace: String? = nil, since: Date? = nil
    ) async throws -> (reports: [AttemptReport], problems: [String]) {
        var reports: [String: AttemptReport] = [:], problems: [String] = []
        var filter = RunFilter(
            namespace: namespace, workflow: workflow, states: RunState.allCases.filter(\.isFinal), limit: 200)
        while true {
            let (page, unreadable) = try await readable(filter)
            problems += unreadable
            for record in page {
                if let since, let closedAt = record.closedAt, closedAt.date < since { continue }
                try await add(record, to: &reports[record.workflow, default: AttemptReport(workflow: record.workflow)])
            }
            guard let last = page.last else { break }
            filter.before = last.number
        }
        return (reports.values.sorted { $0.workflow < $1.workflow }, problems)
    }

    private func add(_ record: RunRecord, to report: inout AttemptReport) async throws {
        report.closed += 1
        guard record.tombstone == nil else { return report.unread += 1 }
        do {
            var failures: [FailedAttempt] = []
            try await readHistory(of: record) { failures += $0.compactMap(\.failedAttempt) }
            report.add(failures)
        } catch let error as PerdureError where error.isAboutOneHistory {
            report.unread += 1
        }
    }
}
