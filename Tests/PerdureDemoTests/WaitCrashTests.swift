import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureHistory
import PerdurePeer
import Testing

/// The engine is killed while a run waits, and while what it waits for arrives.
@Suite(.serialized, .timeLimit(.minutes(10))) struct WaitCrashTests {
    private static let order = Order(number: "order-7", cents: 990)
    private static let rotation = Rotation(change: "CHG-1", services: ["billing", "search"])
    private static let patient = Reservation(order: order, patience: 3_600_000)

    // Promise: 22, 23
    @Test(arguments: [CrashRule.Moment.beforeCommit, .afterCommit])
    func killedAsAnApprovalArrivesItIsTakenInAndUsedOnce(_ moment: CrashRule.Moment) async throws {
        try await CrashHarness.play(RotateSecrets.name, key: "CHG-1", input: Self.rotation) { run in
            try await run.die(.approval, moment, "approval.decided")
            #expect(try await run.counts(.sendMessage, at: run.stage.peer).requests == 0)
            try await run.finish()
            #expect(try await run.count(.approvalRequested) == 1)
            #expect(try await run.count(.approvalDecided) == 1)
            #expect(try await run.count(.approvalConsumed) == 1)
            #expect(try await run.counts(.sendMessage, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.activateKey, at: run.stage.peer).effects == 2)
            #expect(try await run.stage.peer.ledger.counts().duplicates == 0)
        }
    }

    @Test(arguments: [
        ("timer.started", CrashRule.Moment.afterCommit), ("timer.fired", .beforeCommit), ("timer.fired", .afterCommit),
    ])
    func killedDuringATimerItFiresOnceAtItsTime(_ kind: String, _ moment: CrashRule.Moment) async throws {
        try await CrashHarness.play(TakePayment.name, key: Self.order.number, input: Self.order) { run in
            try await run.die(.timer, moment, kind)
            try await run.finish()
            let history = try await run.history
            let started = try #require(history.first { $0.kind == .timerStarted })
            let fired = try #require(history.first { $0.kind == .timerFired })
            let due = try #require(try started.attributes.object()["due"]?.integerValue)
            #expect(fired.at.microseconds >= due)
            #expect(try await run.count(.timerStarted) == 1)
            #expect(try await run.count(.timerFired) == 1)
            #expect(try await run.counts(.sendMessage, at: run.stage.peer).effects == 1)
        }
    }

    @Test(arguments: [CrashRule.Moment.beforeCommit, .afterCommit])
    func killedAsASignalWinsTheRaceItHasWon(_ moment: CrashRule.Moment) async throws {
        try await CrashHarness.play(ReserveSeat.name, key: "seat", input: Self.patient) { run in
            try await run.dieWhileHeld(.charge)
            try await run.client.signal(run.run, Withdrawal.self, "no", by: Principal(.human, "customer"))
            try await run.die(.race, moment, "signal.received")
            try await run.finish()
            #expect(try await run.output(as: ReserveSeat.Ending.self) == .withdrawn("no"))
            #expect(try await run.count(.signalReceived) == 1)
            #expect(try await run.counts(.charge, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.refund, at: run.stage.peer).effects == 1)
        }
    }

    @Test(arguments: [CrashRule.Moment.beforeCommit, .afterCommit])
    func killedAsATimerWinsTheRaceItHasWon(_ moment: CrashRule.Moment) async throws {
        let hasty = Reservation(order: Self.order, patience: 1)
        try await CrashHarness.play(ReserveSeat.name, key: "seat", input: hasty) { run in
            // The answer is kept back, so that the timer is first.
            try await run.stage.hold(.charge, true)
            try await run.die(.race, moment, "timer.fired", subject: "patience")
            try await run.stage.hold(.charge, false)
            try await run.finish()
            #expect(try await run.output(as: ReserveSeat.Ending.self) == .tooLate)
            #expect(try await run.count(.timerFired) == 1)
            let charges = try await run.counts(.charge, at: run.stage.peer),
                refunds = try await run.counts(.refund, at: run.stage.peer)
            #expect(charges.effects <= 1 && charges.effects == refunds.effects)
        }
    }

    @Test(arguments: [CrashRule.Moment.beforeCommit, .afterCommit])
    func killedAsAStepWinsTheRaceItHasWon(_ moment: CrashRule.Moment) async throws {
        try await CrashHarness.play(ReserveSeat.name, key: "seat", input: Self.patient) { run in
            try await run.die(.race, moment, "step.succeeded")
            try await run.finish()
            guard case .charged = try await run.output(as: ReserveSeat.Ending.self) else {
                Issue.record("the charge was first and did not win")
                return
            }
            #expect(try await run.counts(.charge, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.refund, at: run.stage.peer).requests == 0)
        }
    }

    // Promise: 13
    @Test func aSignalThatComesWhileTheEngineIsDownSettlesAndUndoesWhatIsNoLongerWanted() async throws {
        try await CrashHarness.play(ReserveSeat.name, key: "seat", input: Self.patient) { run in
            try await run.dieWhileHeld(.charge)
            #expect(try await run.count(.stepSucceeded) == 0)
            try await run.client.signal(run.run, Withdrawal.self, "no", by: Principal(.human, "customer"))
            try await run.finish()
            #expect(try await run.output(as: ReserveSeat.Ending.self) == .withdrawn("no"))
            #expect(try await run.keys(.charge, at: run.stage.peer).count == 1)
            #expect(try await run.counts(.charge, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.refund, at: run.stage.peer).effects == 1)
            #expect(try await run.count(.undoSucceeded, "charge") == 1)
        }
    }

    // Promise: 13
    @Test func aCancellationThatComesWhileTheEngineIsDownSettlesAndUndoesWhatMayHaveHappened() async throws {
        try await CrashHarness.play(ReserveSeat.name, key: "seat", input: Self.patient) { run in
            try await run.dieWhileHeld(.charge)
            try await run.client.cancel(run.run, by: Principal(.human, "customer"))
            try await run.finish()
            #expect(try await run.state == "cancelled")
            #expect(try await run.counts(.charge, at: run.stage.peer).effects == 1)
            #expect(try await run.counts(.refund, at: run.stage.peer).effects == 1)
        }
    }
}
