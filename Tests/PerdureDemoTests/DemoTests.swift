import Foundation
import PerdureCLI
import Testing

/// The demo itself, as a child process whose output is one JSON object.
@Suite(.serialized, .timeLimit(.minutes(10))) struct DemoTests {
    private func demo(_ arguments: String...) async throws -> (status: Int32, report: DemoReport) {
        try await CrashHarness.report(of: ["demo", "--json"] + arguments)
    }

    // Promise: 1, 4, 13
    @Test func everyEffectHappensOnceHoweverOftenTheEngineIsKilled() async throws {
        let (status, figures) = try await demo("--seed", "1")
        #expect(status == 0)
        #expect(figures.duplicates == 0 && figures.lost == 0)
        #expect(figures.effectsCounted == figures.effectsWanted && figures.effectsWanted > 0)
        #expect(figures.requestsReceived > figures.effectsCounted)
        #expect(figures.runsFinished == figures.runs)
        #expect(figures.kills >= 25)
        for boundary in Boundary.allCases { #expect(figures.killsByBoundary[boundary.rawValue, default: 0] >= 1, "\(boundary)") }
    }

    @Test func withoutDefencesTheSameDemoReportsDuplicates() async throws {
        let (status, figures) = try await demo("--seed", "1", "--without-defences")
        #expect(status == 1)
        #expect(figures.duplicates > 0)
        #expect(figures.kills >= 25)
    }
}
