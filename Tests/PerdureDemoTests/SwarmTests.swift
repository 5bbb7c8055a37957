import Foundation
import PerdureCLI
import Testing

/// A small swarm as a child process whose output is one JSON object. `make swarm` runs the large one.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SwarmTests {
    private func swarm(_ arguments: String...) async throws -> (status: Int32, report: SwarmReport) {
        try await CrashHarness.report(of: ["swarm", "--json", "--runs", "150"] + arguments)
    }

    // Promise: 1, 4, 10, 13, 19, 27
    @Test func runsOfRandomShapesLoseNothingAndDoNothingTwiceHoweverOftenTheEngineIsKilled() async throws {
        let (status, report) = try await swarm("--seed", "7", "--minutes", "0.2")
        #expect(status == 0 && report.isGood, "\(report.findings)")
        #expect(report.states.values.reduce(0, +) == report.runs && report.runs == 150 + report.children)
        #expect(report.kills > 0 && report.takeovers > 0 && report.children > 0 && report.undone > 0 && report.effects > 150)
    }

    @Test(arguments: ["keys", "intents", "probes"]) func withoutADefenceTheSwarmReportsWhatHappenedTwice(_ defence: String)
        async throws
    {
        let (status, report) = try await swarm("--seed", "7", "--minutes", "0.05", "--without", defence)
        #expect(status == 1 && report.duplicates > 0)
    }
}
