import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdurePeer
import Testing

/// A run that takes weeks, in moments: the processes are real and killed for good, the time is not.
@Suite(.serialized, .timeLimit(.minutes(10))) struct WeeksTests {
    private static let systems = (1...14).map { "system-\($0 < 10 ? "0" : "")\($0)" }

    private static let moments: [Weeks.Moment] = [
        .init(.kill, after: .approvalRequested, "announce"),
        .init(.kill, after: .approvalDecided, "announce"),
        .init(.kill, after: .stepIntended, "announce"),
        .init(.kill, after: .stepSucceeded, "create[system-02]"),
        .init(.kill, after: .timerStarted, "soak[system-03]"),
        // While nothing is sent: it begins with the day that is waited for, and lasts four hours longer.
        .init(.outage(.seconds(86_400 + 4 * 3_600)), after: .timerStarted, "soak[system-04]"),
        .init(.kill, after: .stepAttemptFailed, "create[system-05]"),
        .init(.kill, after: .stepAttemptFailed, "create[system-05]"),
        .init(.kill, after: .statusReported, "status[system-06]"),
        .init(.deploy, after: .timerStarted, "soak[system-08]"),
        .init(.kill, after: .timerFired, "soak[system-09]"),
        .init(.kill, after: .stepSucceeded, "grant[system-12]"),
        .init(.kill, after: .approvalRequested, "cut-over"),
        .init(.kill, after: .stepIntended, "cut-over"),
        .init(.kill, after: .timerFired, "aftercare"),
    ]

    // Promise: 1, 17, 25
    @Test func threeWeeksFourteenSystemsTwoApprovalsAnOutageAndADeployEndLateAndByThemselves() async throws {
        try await Stage.run(executable: CrashHarness.executable) { stage in
            let weeks = try await Weeks(
                stage, MoveSystems.name, key: "CHG-77", input: Move(change: "CHG-77", systems: Self.systems))
            try await weeks.play(Self.moments)
            let client = weeks.client, run = try #require(weeks.run)
            let events = try await client.history(of: run)
            #expect(events.last?.kind == .runCompleted)
            #expect(weeks.passed > .seconds(21 * 86_400) && weeks.kills == 13 && weeks.decisions == 2)
            let counts = try await stage.peer.ledger.counts()
            #expect(counts[.createAccount].effects == 14 && counts[.grantRole].effects == 14)
            #expect(counts[.sendMessage].effects == 3 && counts.duplicates == 0 && counts.effects == 31)
            // Four hours at a pause of five minutes at most.
            #expect(events.count { $0.kind == .stepAttemptFailed } > 40)
            #expect(!events.contains { $0.kind == .operatorAction || $0.kind == .stepResolved })
            let builds = Set(try events.compactMap { try $0.attributes.object()["build"]?.stringValue })
            #expect(builds == ["demo", "demo-2"])
            let record = try await client.record(run)
            #expect(HistoryVerifier.verify(record, events).isSound)
            await client.close()
        }
    }
}
