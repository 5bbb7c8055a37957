import PerdureCLI
import Testing

/// A few faults of a cluster on PostgreSQL, as a child process whose last line is one JSON object. `make failures` has hundreds.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FailuresTests {
    private func failures(_ arguments: String...) async throws -> (status: Int32, report: FailureReport) {
        try await CrashHarness.report(
            of: ["failures", "--json"] + (arguments.contains("--runs") ? [] : ["--runs", "80"]) + arguments)
    }

    // Promise: 1, 3, 4, 9, 13, 47
    @Test func `nodes that are killed, cut off and replaced, and servers that are, lose nothing and do nothing twice`()
        async throws
    {
        let (status, report) = try await failures(
            "--seed", "5", "--faults", "8", "--only", "kill,connections_cut,upgrade,postgres_kill,promotion")
        #expect(status == 0 && report.isGood, "\(report.findings)")
        #expect(report.faults >= 8 && report.runs >= 80 && report.effects > 80)
        #expect(report.faultsByKind.values.reduce(0, +) == report.faults)
        #expect(report.takeovers > 0 && report.longestRecoverySeconds > 0)
    }

    // Promise: 4
    @Test func `a replica that was behind and an older copy of the server are noticed, and nothing is done twice`() async throws {
        let (status, report) = try await failures(
            "--seed", "5", "--runs", "900", "--faults", "4", "--only", "promotion_async,restore")
        #expect(status == 0 && report.isGood, "\(report.findings)")
        #expect(report.restorations > 0)
    }

    @Test func `without marks the trial reports what a lost part has done and is done again`() async throws {
        let (status, report) = try await failures(
            "--seed", "5", "--runs", "900", "--faults", "4", "--only", "promotion_async", "--without", "recover")
        #expect(status == 1 && report.duplicates > 0)
    }

    @Test func `without a defence the trial reports what happened twice`() async throws {
        let (status, report) = try await failures("--seed", "5", "--faults", "6", "--only", "kill", "--without", "keys")
        #expect(status == 1 && report.duplicates > 0)
    }
}
