import PerdureEngine
import PerdureTesting
import Testing

/// `perdure resumability` as a child process: the matrix over the example workflows.
@Suite(.timeLimit(.minutes(10))) struct ResumabilityTests {
    // Promise: 44
    @Test func `every example workflow survives every interruption at every checkpoint`() async throws {
        struct Answer: Decodable { let reports: [ResumabilityReport], inventory: WorkflowInventory }
        let (status, answer): (Int32, Answer) = try await CrashHarness.report(of: ["resumability", "--json"])
        let reports = answer.reports
        #expect(answer.inventory.entries.count == 10 && answer.inventory.entries.allSatisfy { $0.owner != nil && $0.isTried })
        #expect(!answer.inventory.stopsRuns)
        for report in reports { #expect(report.isResumable, "\(report.story ?? "")") }
        #expect(status == 0)
        #expect(reports.count == 10)
        #expect(reports.map(\.trials.count).reduce(0, +) > 900)
        #expect(Set(reports.flatMap(\.trials).map(\.interruption)) == Set(Interruption.allCases))
        // One of them has no probe: only a person can know.
        #expect(reports.filter { $0.trials.contains { !$0.decisions.isEmpty } }.map(\.workflow) == ["take-payment-by-hand"])
    }
}
