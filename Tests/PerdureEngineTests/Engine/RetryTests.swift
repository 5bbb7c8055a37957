import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5))) struct RetryTests {
    /// A flow with one step that fails with the given errors before it succeeds.
    private func failing(
        _ errors: [Hiccup], _ policy: StepPolicy, _ effects: Effects,
        effect: Effect<String, String> = .idempotent(retention: .forever)
    ) -> Flow {
        Flow { input, context in
            do {
                return try await context.step("charge", input: input, effect, policy: policy) { text, step in
                    let number = effects.count("charge")
                    effects.add("charge", key: step.idempotencyKey)
                    if number < errors.count { throw errors[number] }
                    return "charged \(step.attempt)"
                } undo: { _, _ in
                    effects.add("refund")
                }
            } catch let failure as StepFailure {
                return "\(failure.code) \(failure.attempts) \(failure.decoded(as: Hiccup.self) != nil)"
            }
        }
    }

    // Promise: 17
    @Test func aFailedStepIsTriedAgainWithBackoffThatGoesOnAfterACrash() async throws {
        try await withEngines { harness in
            let flow = failing([Hiccup(), Hiccup(), Hiccup()], .plain(), harness.effects)
            try await harness.open { flow }
            let run = try await harness.start()
            for (number, delay) in [1, 2, 4].enumerated() {
                try await harness.until(run.id, has: "step.attempt_failed charge", times: number + 1)
                try await harness.until(run.id, is: .waiting)
                let failed = try #require(try await harness.history(run.id).last { $0.kind == .stepAttemptFailed })
                let next = try #require(try failed.attributes.object()["next_at"]?.integerValue)
                #expect(next - failed.at.microseconds == Int64(delay) * 1_000_000)
                try await harness.crash()
                // So long before that the run is not kept in memory for it.
                harness.clock.advance(by: .milliseconds(delay * 1_000 - 150))
                try await harness.open { flow }
                try await harness.engine.client.signal(run.id, Poke.self, "look", by: EngineHarness.bob)
                try await harness.until(run.id, has: "signal.received poke", times: number + 1)
                try await harness.until(run.id, is: .waiting)
                #expect(harness.effects.count("charge") == number + 1)
                harness.clock.advance(by: .milliseconds(149))
                #expect(harness.effects.count("charge") == number + 1)
                harness.clock.advance(by: .milliseconds(1))
            }
            #expect(try await harness.result(run.id) == "charged 4")
            #expect(harness.effects.distinct("charge") == 1)
        }
    }

    @Test func theOtherSideMayAskForALongerDelay() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup(wait: 120)], .plain(), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(119))
            try await harness.engine.client.signal(run.id, Poke.self, "look", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            try await harness.until(run.id, is: .waiting)
            #expect(harness.effects.count("charge") == 1)
            harness.clock.advance(by: .seconds(1))
            #expect(try await run.result() == "charged 2")
        }
    }

    // Promise: 16, 17
    @Test func anOutageOfHoursOnlyMakesARunLate() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let clock = harness.clock
            let end = clock.now() + .seconds(4 * 3_600)
            try await harness.open {
                Flow { input, context in
                    try await context.step("charge", input: input, .idempotent(retention: .forever), irreversible: "x") {
                        text, step in
                        effects.add("charge", key: step.idempotencyKey)
                        if clock.now() < end { throw Hiccup() }
                        return text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until {
                let record = try await harness.record(run.id)
                if record.state == .waiting, let wake = record.wakeAt, wake > clock.now() {
                    clock.advance(by: wake.duration(since: clock.now()))
                }
                return record.state.isFinal
            }
            #expect(try await run.result() == "x")
            #expect(effects.count("charge") > 40)
            #expect(effects.distinct("charge") == 1)
        }
    }

    // Promise: 6, 17, 24
    @Test func anExhaustedPolicyParksTheRunAndAPersonLetsItTryAgain() async throws {
        try await withEngines { harness in
            let flow = failing([Hiccup(isDefinite: true), Hiccup(isDefinite: true)], .plain(attempts: 1), harness.effects)
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.record(run.id).note?.contains("charge") == true)
            let client = try harness.engine.client
            try await client.retry(run.id, step: "charge", by: EngineHarness.bob)
            try await harness.until(run.id, has: "step.attempt_failed charge", times: 2)
            try await harness.until(run.id, is: .parked)
            try await harness.crash()
            try await harness.open { flow }
            try await harness.engine.client.retry(run.id, step: "charge", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "charged 3")
            let action = try await harness.attributes(.operatorAction, of: run.id)
            #expect(action["by"]?.objectValue?["id"]?.stringValue == "bob")
            let again = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.retry(run.id, step: "charge", by: EngineHarness.bob)
            }
            #expect(again?.code == .stepNotStuck)
        }
    }

    @Test func aDeadLetterCanBeResolvedAsHappened() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup(isDefinite: true)], .plain(attempts: 1), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            try await harness.engine.client.resolve(
                run.id, step: "charge", .happened(encoding: "by hand"), reason: "asked the bank",
                by: EngineHarness.bob)
            #expect(try await run.result() == "by hand")
            #expect(try await harness.attributes(.stepResolved, of: run.id)["reason"]?.stringValue == "asked the bank")
        }
    }

    @Test func aDeadLetterCanBeUndone() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup(isDefinite: true)], .plain(attempts: 1), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            try await harness.engine.client.resolve(
                run.id, step: "charge", .undo(encoding: "half"), by: EngineHarness.bob)
            #expect(try await run.result().hasPrefix("undone"))
            #expect(harness.effects.all == ["charge", "refund"])
        }
    }

    @Test func abortingADeadLetterFailsTheRunWhateverTheCodeMakesOfIt() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup(isDefinite: true)], .plain(attempts: 1), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            harness.clock.advance(by: .seconds(100))
            try await harness.engine.client.resolve(run.id, step: "charge", .abort, by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runFailed)
        }
    }

    @Test func aPolicyThatThrowsThrowsOnlyAfterADefiniteError() async throws {
        try await withEngines { harness in
            try await harness.open {
                failing([Hiccup(isDefinite: true), Hiccup(isDefinite: true)], .plain(attempts: 2, .thenThrow), harness.effects)
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            #expect(try await run.result() == "step_failed 2 true")
        }
    }

    // Promise: 13
    @Test func aPolicyThatThrowsPutsAStepThatMayHaveHappenedInDoubt() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup()], .plain(attempts: 1, .thenThrow), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.attributes(.stepInDoubt, of: run.id)["reason"]?.stringValue == "exhausted")
        }
    }

    @Test func aDefiniteErrorThatCannotBeRetriedIsThrownAtOnceAndDecodes() async throws {
        try await withEngines { harness in
            let flow = Flow { input, context in
                do {
                    return try await context.step("charge", input: input, .idempotent(retention: .forever), irreversible: "x") {
                        text, _ in
                        throw Rejected("no money")
                    }
                } catch let failure as StepFailure {
                    try await context.sleep(for: .seconds(1))
                    return
                        "\(failure.code) \(failure.typeName) \(failure.decoded(as: Rejected.self)?.reason ?? "-") \(failure.isDefinite)"
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open { flow }
            harness.clock.advance(by: .seconds(1))
            #expect(try await harness.result(run.id) == "step_failed Rejected no money true")
        }
    }

    @Test func anErrorThatCannotBeRetriedAndSaysNothingOfTheEffectIsInDoubt() async throws {
        try await withEngines { harness in
            try await harness.open { failing([Hiccup(isRetryable: false)], .plain(), harness.effects) }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.attributes(.stepInDoubt, of: run.id)["reason"]?.stringValue == "non_retryable")
        }
    }

    @Test func anAttemptThatTakesTooLongIsToldToStopAndTriedAgain() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "slow", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
                    ) { text, step in
                        effects.add("slow", key: step.idempotencyKey)
                        if effects.count("slow") == 1 { try await gate.pass() }
                        return text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            harness.clock.advance(by: .seconds(60))
            try await harness.until(run.id, has: "step.attempt_failed slow")
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            #expect(try await run.result() == "x")
            #expect(effects.distinct("slow") == 1)
        }
    }

    @Test func theFencingTokenGrowsWithEveryAttemptUndoAndOwner() async throws {
        try await withEngines { harness in
            let tokens = Mutex<[FencingToken]>([]), effects = harness.effects
            let flow = Flow { input, context in
                try await context.step("charge", input: input, .idempotent(retention: .forever), policy: .plain()) { text, step in
                    tokens.withLock { $0.append(step.fencingToken) }
                    effects.add("charge")
                    if step.attempt < 4 { throw Hiccup() }
                    return text
                } undo: { _, step in
                    tokens.withLock { $0.append(step.fencingToken) }
                }
                throw Rejected("late")
            }
            try await harness.open { flow }
            let run = try await harness.start()
            for (number, delay) in [1, 2].enumerated() {
                try await harness.until(run.id, has: "step.attempt_failed charge", times: number + 1)
                try await harness.until(run.id, is: .waiting)
                harness.clock.advance(by: .seconds(delay))
            }
            try await harness.until(run.id, has: "step.attempt_failed charge", times: 3)
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            harness.clock.advance(by: .seconds(4))
            try await harness.open { flow }
            _ = try? await harness.result(run.id)
            let seen = tokens.withLock { $0 }
            #expect(seen.count == 5)
            #expect(zip(seen, seen.dropFirst()).allSatisfy { $0 < $1 }, "\(seen)")
        }
    }

    @Test func theFencingTokenGrowsWithinOneOwnership() async throws {
        try await withEngines { harness in
            let tokens = Mutex<[FencingToken]>([])
            try await harness.open {
                Flow { input, context in
                    for name in ["a", "b"] {
                        try await context.act(name, input: input, .idempotent(retention: .forever)) { _, step in
                            tokens.withLock { $0.append(step.fencingToken) }
                        } undo: { _, step in
                            tokens.withLock { $0.append(step.fencingToken) }
                        }
                    }
                    throw Rejected("late")
                }
            }
            _ = try? await harness.start().result()
            let seen = tokens.withLock { $0 }
            #expect(seen.count == 4 && Set(seen.map(\.epoch)).count == 1)
            #expect(zip(seen, seen.dropFirst()).allSatisfy { $0 < $1 }, "\(seen)")
        }
    }

    // Promise: 11
    @Test func theIdempotencyKeyIsTheSameOnEveryAttemptAndDiffersBetweenRuns() async throws {
        try await withEngines { harness in
            let flow = failing([Hiccup(), Hiccup()], .plain(), harness.effects)
            try await harness.open { flow }
            let first = try await harness.start()
            try await harness.until(first.id, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(first.id, has: "step.attempt_failed charge", times: 2)
            try await harness.until(first.id, is: .waiting)
            harness.clock.advance(by: .seconds(2))
            _ = try await first.result()
            #expect(harness.effects.distinct("charge") == 1)
            _ = try await harness.start().result()
            #expect(harness.effects.distinct("charge") == 2)
        }
    }

    @Test func anOutputThatCannotBeRecordedIsInDoubtAndNotFailed() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.payloadLimit = 1_000 }) {
                Flow { input, context in
                    try await context.step("big", input: input, .idempotent(retention: .forever), irreversible: "x") { _, _ in
                        String(repeating: "x", count: 2_000)
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.attributes(.stepInDoubt, of: run.id)["reason"]?.stringValue == "unrecordable")
            try await harness.engine.client.resolve(
                run.id, step: "big", .happened(result: Data(#""short""#.utf8)), by: EngineHarness.bob)
            #expect(try await run.result() == "short")
        }
    }
}
