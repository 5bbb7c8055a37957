import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5))) struct InDoubtTests {
    /// A flow with one at-most-once step that hangs the first time, so that the process can die in its middle.
    private func flow(_ harness: EngineHarness, _ gate: StepGate, _ inDoubt: InDoubt<String, String>) -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            do {
                return try await context.step("pay", input: input, .atMostOnce(inDoubt: inDoubt), policy: .plain()) { text, _ in
                    effects.add("pay")
                    if effects.count("pay") == 1 { try await gate.pass() }
                    return "paid"
                } undo: { _, _ in
                    effects.add("refund")
                }
            } catch let failure as StepFailure {
                return failure.code
            }
        }
    }

    /// Starts a run and kills the process while the step is being executed.
    private func interrupt(_ harness: EngineHarness, _ gate: StepGate, _ flow: Flow) async throws -> RunID {
        try await harness.open { flow }
        let run = try await harness.start()
        try await harness.until { gate.arrivals == 1 }
        try await harness.crash()
        try await harness.open { flow }
        return run.id
    }

    // Promise: 14
    @Test func anInterruptedStepIsNotRepeatedButAskedForWithItsProbe() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = flow(harness, gate, .probe { _, _ in .happened("found") })
            let run = try await interrupt(harness, gate, flow)
            #expect(try await harness.result(run) == "found")
            #expect(harness.effects.all == ["pay"])
            #expect(try await harness.attributes(.stepResolved, of: run)["by"]?.objectValue?["id"]?.stringValue == "probe")
        }
    }

    // Promise: 6
    @Test func `a program is told which steps are stuck, and why`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await interrupt(harness, gate, flow(harness, gate, .askPerson))
            try await harness.until(run, is: .parked)
            let client = try harness.engine.client
            let step = try #require(try await client.stuckSteps(of: run).first)
            #expect(step.step == "pay" && !step.isUndo && step.effect == "at_most_once")
            #expect(step.reason == .inDoubt(cause: "interrupted"))
            #expect(try #require(step.quietUntil) > harness.clock.now().date)
            try await client.resolve(run, step: step.step, .happened(result: Data(#""by hand""#.utf8)), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "by hand")
            #expect(try await client.stuckSteps(of: run).isEmpty)
        }
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.read("look", input: input, policy: .retry(.never)) { text, _ in
                        if text == "x" { throw Hiccup() }
                        return text
                    }
                }
            }
            let run = try await harness.start().id
            try await harness.until(run, is: .parked)
            let step = try #require(try await harness.engine.client.stuckSteps(of: run).first)
            #expect(step.step == "look" && step.reason == .deadLetter && step.message?.contains("Hiccup") == true)
        }
    }

    @Test func didNotHappenIsBelievedOnlyWhenTheAttemptCannotActAnyMore() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = flow(
                harness, gate,
                .probe { _, _ in
                    effects.add("probe"); return .didNotHappen
                })
            let run = try await interrupt(harness, gate, flow)
            try await harness.until { effects.count("probe") == 1 }
            try await harness.until(run, is: .waiting)
            harness.clock.advance(by: .seconds(69))
            try await harness.engine.client.signal(run, Poke.self, "look", by: EngineHarness.bob)
            try await harness.until(run, has: "signal.received poke")
            try await harness.until(run, is: .waiting)
            #expect(effects.count("pay") == 1)
            harness.clock.advance(by: .seconds(1))
            #expect(try await harness.result(run) == "paid")
            #expect(effects.count("pay") == 2)
        }
    }

    @Test func halfAnEffectIsForAPersonToJudge() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = flow(harness, gate, .probe { _, _ in .partly("one of two transfers") })
            let run = try await interrupt(harness, gate, flow)
            try await harness.until(run, is: .parked)
            #expect(try await harness.attributes(.stepInDoubt, of: run)["message"]?.stringValue == "one of two transfers")
            try await harness.engine.client.resolve(run, step: "pay", .undo(result: Data(#""half""#.utf8)), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "undone")
            #expect(harness.effects.all == ["pay", "refund"])
        }
    }

    @Test func aProbeThatCannotTellIsAskedAgainAndThenAPerson() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = flow(
                harness, gate,
                .probe { _, _ in
                    effects.add("probe"); return .unknown
                })
            let run = try await interrupt(harness, gate, flow)
            try await harness.until {
                let record = try await harness.record(run)
                if record.state == .waiting, let wake = record.wakeAt, wake > harness.clock.now() {
                    harness.clock.advance(by: wake.duration(since: harness.clock.now()))
                }
                return record.state == .parked
            }
            #expect(effects.count("probe") == 8)
            #expect(effects.count("pay") == 1)
        }
    }

    @Test func withoutAProbeAPersonDecidesThatItHappened() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await interrupt(harness, gate, flow(harness, gate, .askPerson))
            try await harness.until(run, is: .parked)
            try await harness.engine.client.resolve(
                run, step: "pay", .happened(result: Data(#""seen""#.utf8)), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "seen")
            #expect(harness.effects.all == ["pay"])
        }
    }

    @Test func aPersonMaySayThatItDidNotHappenOnlyAfterTheQuietTime() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await interrupt(harness, gate, flow(harness, gate, .askPerson))
            try await harness.until(run, is: .parked)
            let early = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            }
            #expect(early?.code == .stepNotStuck)
            harness.clock.advance(by: .seconds(70))
            try await harness.engine.client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            #expect(try await harness.result(run) == "paid")
            #expect(harness.effects.count("pay") == 2)
        }
    }

    @Test func aRetryOfAStepThatMayHaveHappenedIsRefused() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await interrupt(harness, gate, flow(harness, gate, .askPerson))
            try await harness.until(run, is: .parked)
            try await harness.engine.client.retry(run, step: "pay", by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action pay")
            try await harness.until(run, is: .parked)
            #expect(try await harness.attributes(.operatorAction, of: run)["refused"] != nil)
            #expect(harness.effects.all == ["pay"])
        }
    }

    // Promise: 4
    @Test func anIdempotentStepIsSentAgainInsideItsWindowAndIsInDoubtAfterIt() async throws {
        for (pause, isInDoubt) in [(Duration.seconds(3_600), false), (.seconds(3_601), true)] {
            try await withEngines { harness in
                let gate = harness.gate(), effects = harness.effects
                let flow = Flow { input, context in
                    try await context.step(
                        "pay", input: input, .idempotent(retention: .hours(1)), policy: .plain(), irreversible: "x"
                    ) { text, step in
                        effects.add("pay", key: step.idempotencyKey)
                        if effects.count("pay") == 1 { try await gate.pass() }
                        return "paid"
                    }
                }
                try await harness.open { flow }
                let run = try await harness.start()
                try await harness.until { gate.arrivals == 1 }
                try await harness.crash()
                harness.clock.advance(by: pause)
                try await harness.open { flow }
                if isInDoubt {
                    try await harness.until(run.id, is: .parked)
                    #expect(try await harness.attributes(.stepInDoubt, of: run.id)["reason"]?.stringValue == "retention_passed")
                    #expect(effects.count("pay") == 1)
                } else {
                    #expect(try await harness.result(run.id) == "paid")
                    #expect(effects.count("pay") == 2 && effects.distinct("pay") == 1)
                }
            }
        }
    }

    /// A step in doubt whose probe asks for ever; a person answers in its place, and the next attempt comes to the gate. Then the code
    /// waits.
    private func overtake(
        _ harness: EngineHarness, _ second: StepGate, probe: @escaping @Sendable () async throws -> Void
    ) async throws -> RunID {
        let first = harness.gate(), asked = harness.gate(isOpen: true), effects = harness.effects
        let flow = Flow { input, context in
            let hanging = InDoubt<String, String>.probe { _, _ in
                await asked.hang()
                try await probe()
                return .unknown
            }
            let paid = try await context.step(
                "pay", input: input, .atMostOnce(inDoubt: hanging), policy: .plain(), irreversible: "x"
            ) { _, _ in
                effects.add("pay")
                try await (effects.count("pay") == 1 ? first : second).pass()
                return "paid"
            }
            return paid + (try await context.signal(Poke.self))
        }
        try await harness.open { flow }
        let run = try await harness.start().id
        try await harness.until { first.arrivals == 1 }
        try await harness.crash()
        // Nothing of the first attempt can act any more, and the probe has its whole time.
        harness.clock.advance(by: .seconds(71))
        try await harness.open { flow }
        try await harness.until { asked.arrivals == 1 }
        try await harness.engine.client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
        try await harness.until { second.arrivals == 1 }
        return run
    }

    @Test func `a probe that a person has overtaken is told to stop, and a pause comes through behind the next attempt`()
        async throws
    {
        try await withEngines { harness in
            let second = harness.gate(), probe = harness.gate()
            let run = try await overtake(harness, second) { try await probe.pass() }
            try await harness.engine.client.pause(run, by: EngineHarness.bob)
            second.open()
            try await harness.until(run, has: "run.paused")
            try await harness.until(run, is: .paused)
            #expect(try await harness.count("step.succeeded pay", in: run) == 1)
            #expect(harness.effects.count("pay") == 2)
        }
    }

    @Test func `a probe that was overtaken and does not end when it is told to is talked about, and its run waits for it`()
        async throws
    {
        try await withEngines { harness in
            let second = harness.gate(isOpen: true), probe = harness.gate()
            let run = try await overtake(harness, second) { await probe.hang() }
            try await harness.until(run, has: "step.succeeded pay")
            // Its deadline, and what it is given after that.
            harness.clock.advance(by: .seconds(70))
            try await harness.until { harness.logs.lines.contains { $0.contains("overtaken does not end") } }
            try await harness.engine.client.pause(run, by: EngineHarness.bob)
            #expect(try await harness.record(run).state == .running)
            probe.open()
            try await harness.until(run, is: .paused)
        }
    }

    @Test func otherBranchesGoOnWhileOneStepIsInDoubt() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                async let paid = context.step(
                    "pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(), irreversible: "x"
                ) { _, _ in
                    try await gate.pass()
                    return "paid"
                }
                let signal = try await context.signal(Poke.self)
                try await context.act("tell", input: signal, .idempotent(retention: .forever), irreversible: "x") { _, _ in
                    effects.add("tell")
                }
                return try await paid
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until(run.id, has: "step.in_doubt pay")
            try await harness.engine.client.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            try await harness.until(run.id, has: "step.succeeded tell")
            try await harness.until(run.id, is: .parked)
            try await harness.engine.client.resolve(
                run.id, step: "pay", .happened(result: Data(#""p""#.utf8)), by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "p")
        }
    }
}
