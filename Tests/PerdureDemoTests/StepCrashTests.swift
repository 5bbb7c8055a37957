import Perdure
import PerdureCLI
import PerdureExamples
import PerdureHistory
import PerdurePeer
import Testing

/// The engine is killed around one step. Real processes, real SIGKILL; what happened is counted at the other side.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StepCrashTests {
    private static let order = Order(number: "order-7", cents: 990)

    private func withKeys(_ body: @escaping @Sendable (CrashHarness) async throws -> Void) async throws {
        try await CrashHarness.play(TakePayment.name, key: Self.order.number, input: Self.order, body)
    }

    private func withoutKeys(_ body: @escaping @Sendable (CrashHarness) async throws -> Void) async throws {
        try await CrashHarness.play(TakePaymentWithoutKeys.name, key: Self.order.number, input: Self.order, body)
    }

    private func byHand(_ body: @escaping @Sendable (CrashHarness) async throws -> Void) async throws {
        try await CrashHarness.play(TakePaymentByHand.name, key: Self.order.number, input: Self.order, body)
    }

    @Test func killedBeforeTheIntentNothingWasSent() async throws {
        try await withoutKeys { run in
            try await run.die(.beforeIntent, .beforeCommit, "step.intended")
            #expect(try await run.counts(.charge, at: run.stage.bank).requests == 0)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.bank)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.count(.stepIntended) == 1)
            #expect(try await run.count(.stepInDoubt) == 0)
        }
    }

    @Test func killedAfterTheIntentTheProbeSaysThatItDidNotHappen() async throws {
        try await withoutKeys { run in
            try await run.die(.afterIntent, .afterCommit, "step.intended")
            #expect(try await run.counts(.charge, at: run.stage.bank).requests == 0)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.bank)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.resolutions == ["did_not_happen"])
            #expect(try await run.count(.stepIntended) == 2)
        }
    }

    @Test func killedAfterTheIntentOfAKeyedStepItIsSentOnce() async throws {
        try await withKeys { run in
            try await run.die(.afterIntent, .afterCommit, "step.intended", subject: "charge")
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.peer)
            #expect(charges.requests == 1 && charges.effects == 1)
        }
    }

    // Promise: 11, 13
    @Test func killedAfterTheSendTheSameKeyIsSentAgain() async throws {
        try await withKeys { run in
            try await run.die(.afterSend, .sent, "POST /payments/charges")
            try await run.stage.untilEffects(1, .charge, at: run.stage.peer)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.peer)
            #expect(charges.requests == 2 && charges.effects == 1)
            #expect(try await run.keys(.charge, at: run.stage.peer).count == 1)
        }
    }

    @Test func killedAfterTheSendWithoutKeysTheProbeFindsTheEffect() async throws {
        try await withoutKeys { run in
            try await run.die(.afterSend, .sent, "POST /payments/charges")
            try await run.stage.untilEffects(1, .charge, at: run.stage.bank)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.bank)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.resolutions == ["happened"])
        }
    }

    @Test func killedWhileThePeerKeepsItsAnswerTheEffectStaysOne() async throws {
        try await withKeys { run in
            try await run.dieWhileHeld(.charge)
            try await run.finish()
            #expect(try await run.counts(.charge, at: run.stage.peer).effects == 1)
            #expect(try await run.stage.peer.ledger.counts().requestsRecognised >= 1)
            #expect(try await run.keys(.charge, at: run.stage.peer).count == 1)
        }
    }

    // Promise: 4
    @Test func killedAfterTheEffectAPersonSaysThatItHappened() async throws {
        try await byHand { run in
            try await run.die(.afterEffect, .answered, "POST /payments/charges")
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.bank)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.resolutions == ["happened"])
            #expect(try await run.count(.runParked) == 1)
        }
    }

    @Test func killedBeforeTheOutcomeTheSameKeyIsSentAgain() async throws {
        try await withKeys { run in
            try await run.die(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "charge")
            #expect(try await run.count(.stepSucceeded) == 0)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.peer)
            #expect(charges.requests == 2 && charges.effects == 1)
            #expect(try await run.count(.stepSucceeded, "charge") == 1)
        }
    }

    @Test func killedBeforeTheOutcomeWithoutKeysTheProbeFindsTheEffect() async throws {
        try await withoutKeys { run in
            try await run.die(.beforeOutcome, .beforeCommit, "step.succeeded")
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.bank)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.resolutions == ["happened"])
        }
    }

    // Promise: 27
    @Test func killedAfterTheOutcomeTheStepIsNeverSentAgain() async throws {
        try await withKeys { run in
            try await run.die(.afterOutcome, .afterCommit, "step.succeeded", subject: "charge")
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.peer)
            #expect(charges.requests == 1 && charges.effects == 1)
            #expect(try await run.count(.stepSucceeded, "charge") == 1)
        }
    }

    // Promise: 1
    @Test func killedDuringRecoveryAgainAndAgainTheRunStillFinishes() async throws {
        try await withKeys { run in
            try await run.die(.afterEffect, .answered, "POST /payments/charges")
            try await run.die(.recovery, .takeover)
            try await run.die(.recovery, .takeover)
            try await run.die(.recovery, .takeover)
            try await run.finish()
            let charges = try await run.counts(.charge, at: run.stage.peer)
            #expect(charges.requests == 2 && charges.effects == 1)
            #expect(try await run.count(.runResumed) >= 4)
            #expect(try await run.state == "completed")
        }
    }
}
