import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct UnwindingTests {
    struct Reserve: Step {
        static let name = "reserve"
        let effects: Effects
        var effect: Effect<Int, String> { .idempotent(retention: .forever) }
        var policy: StepPolicy { .plain() }
        func perform(_ seats: Int, _ step: StepContext) async throws -> String {
            effects.add("reserve \(seats)", key: step.idempotencyKey)
            return "r\(seats)"
        }
        func undo(_ output: String, of input: Int, _ step: StepContext) async throws {
            effects.add("release \(output) of \(input)", key: step.idempotencyKey)
        }
    }

    struct Announce: IrreversibleStep {
        static let name = "announce"
        let effects: Effects
        var effect: Effect<String, Nothing> { .atMostOnce(inDoubt: .askPerson) }
        var reason: String { "it was said" }
        func perform(_ text: String, _ step: StepContext) async throws -> Nothing {
            effects.add("announce \(text)")
            return Nothing()
        }
    }

    @Test func typedStepsAreUndoneFromWhatWasRecordedAndIrreversibleOnesStay() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { _, context in
                    let reserved = try await context.step(Reserve(effects: effects), input: 2)
                    try await context.step(Announce(effects: effects), input: reserved)
                    try await context.step(Reserve(effects: effects), input: 3)
                    throw Rejected("late")
                }
            }
            let run = try await harness.start()
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runFailed && error?.message.contains("late") == true)
            #expect(effects.all == ["reserve 2", "announce r2", "reserve 3", "release r3 of 3", "release r2 of 2"])
            #expect(try await harness.attributes(.stepIntended, of: run.id)["irreversible"]?.stringValue == "it was said")
        }
    }

    @Test func whyAStepStaysIsInItsFirstEventWhateverThatIs() async throws {
        try await withEngines { harness in
            let clock = harness.clock
            try await harness.open {
                Flow { input, context in
                    try await context.act(
                        "mail", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "it was read"
                    ) { _, step in
                        if step.attempt == 1 { throw Hiccup() }
                    }
                    try await context.act("post", input: input, .idempotent(retention: .forever), irreversible: "it has left") {
                        _, _ in
                    }
                    throw Rejected("late")
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            clock.advance(by: .seconds(1))
            _ = try? await run.result()
            let reasons = try await harness.history(run.id).filter { !$0.subject.isEmpty }.map {
                "\($0.kind.rawValue) \($0.subject): \(try $0.attributes.object()["irreversible"]?.stringValue ?? "-")"
            }
            #expect(
                reasons == [
                    "step.attempt_failed mail: it was read", "step.succeeded mail: -", "step.succeeded post: it has left",
                ])
            let view = RunView(try await harness.history(run.id))
            let explained = RunExplanation(try await harness.record(run.id), view, now: clock.now()).sentences.joined()
            #expect(explained.contains("'mail' (it was read), 'post' (it has left)"), "\(explained)")
        }
    }

    @Test func aScopeUnwindsAloneAndTheCodeOutsideGoesOn() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { _, context in
                try await context.step(Reserve(effects: effects), input: 1)
                do {
                    try await context.scope("trip") {
                        try await context.step(Reserve(effects: effects), input: 2)
                        try await context.step(Reserve(effects: effects), input: 3)
                        throw Rejected("no hotel")
                    }
                } catch let error as Rejected {
                    effects.add(error.reason)
                }
                _ = try await context.signal(Poke.self)
                return "done"
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "done")
            #expect(
                try await harness.lines(run.id).filter { $0.hasPrefix("undo.succeeded") } == [
                    "undo.succeeded trip/reserve#2", "undo.succeeded trip/reserve",
                ])
            #expect(effects.distinct("release r1 of 1") == 0)
        }
    }

    @Test func anUndoIsRetriedUntilItSucceedsAndOlderOnesWaitForIt() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                try await context.step(Reserve(effects: effects), input: 1)
                try await context.step("two", input: input, .idempotent(retention: .forever), policy: .plain()) { _, _ in
                    "two"
                } undo: { _, step in
                    effects.add("undo two", key: step.idempotencyKey)
                    if effects.count("undo two") < 3 { throw Hiccup() }
                }
                throw Rejected("late")
            }
            try await harness.open { flow }
            let run = try await harness.start()
            for times in 1...2 {
                try await harness.until(run.id, has: "undo.attempt_failed two", times: times)
                try await harness.until(run.id, is: .waiting)
                #expect(effects.distinct("release r1 of 1") == 0)
                let wake = try #require(try await harness.record(run.id).wakeAt)
                try await harness.crash()
                harness.clock.advance(by: wake.duration(since: harness.clock.now()))
                try await harness.open { flow }
            }
            try await harness.until(run.id, is: .failed)
            #expect(effects.count("undo two") == 3 && effects.distinct("undo two") == 1)
            #expect(effects.all.last == "release r1 of 1")
        }
    }

    @Test func anUndoThatMustNotBeRepeatedIsInDoubtAfterACrashInItsMiddle() async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = Flow { input, context in
                try await context.step(
                    "pay", input: input, .idempotent(retention: .forever), policy: .plain(),
                    undoing: .atMostOnce(inDoubt: .askPerson)
                ) { _, _ in
                    "paid"
                } undo: { _, _ in
                    effects.add("refund")
                    try await gate.pass()
                }
                throw Rejected("late")
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.count("undo.in_doubt pay", in: run.id) == 1)
            try await harness.engine.client.resolve(run.id, step: "pay", .happened(result: nil), by: EngineHarness.bob)
            try await harness.until(run.id, is: .failed)
            #expect(effects.all == ["refund"])
        }
    }

    // Promise: 19
    @Test func aCancelledRunUndoesWhatItDidAndIsCancelled() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { _, context in
                try await context.step(Reserve(effects: effects), input: 1)
                return try await context.signal(Poke.self)
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.observer().cancel(run.id, by: EngineHarness.bob)
            try await harness.open { flow }
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run.id) }
            #expect(error?.code == .runCancelled)
            #expect(effects.all == ["reserve 1", "release r1 of 1"])
            #expect(try await harness.attributes(.runCancelRequested, of: run.id)["by"]?.objectValue?["id"]?.stringValue == "bob")
        }
    }

    // Promise: 13, 24
    @Test func aStepThatWasCancelledAndHappenedAllTheSameIsUndoneFirst() async throws {
        for crashes in [false, true] {
            try await withEngines { harness in
                let effects = harness.effects, gate = harness.gate()
                let flow = Flow { input, context in
                    try await context.step(Reserve(effects: effects), input: 1)
                    return try await context.step("slow", input: input, .idempotent(retention: .forever), policy: .plain()) {
                        text, step in
                        effects.add("slow", key: step.idempotencyKey)
                        if effects.count("slow") == 1 { await gate.hang() }
                        return text
                    } undo: { _, _ in
                        effects.add("undo slow")
                    }
                }
                try await harness.open { flow }
                let run = try await harness.start()
                try await harness.until { gate.arrivals == 1 }
                try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
                try await harness.until(run.id, has: "run.cancel_requested")
                if crashes {
                    try await harness.crash()
                    try await harness.open { flow }
                } else {
                    gate.open()
                }
                try await harness.until(run.id, is: .cancelled)
                #expect(effects.all.suffix(2) == ["undo slow", "release r1 of 1"])
                #expect(effects.distinct("slow") == 1)
            }
        }
    }

    @Test func aCancelledReadEndsAtOnceAndIsNotSentAgain() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                try await context.read("slow", input: input) { text, _ in
                    effects.add("slow")
                    await gate.hang()
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .cancelled)
            #expect(try await harness.count("step.cancelled slow", in: run.id) == 1)
            #expect(effects.all == ["slow"])
        }
    }

    @Test func workOnTheWayOutRunsInsideUncancelled() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    do {
                        return try await context.signal(Poke.self)
                    } catch is CancellationError {
                        do {
                            _ = try await context.read("refused") { 1 }
                            effects.add("read in a cancelled task")
                        } catch is CancellationError {}
                        try await context.uncancelled {
                            try await context.act("tell", input: input, .idempotent(retention: .forever), irreversible: "x") {
                                _, _ in effects.add("told")
                            }
                            try await context.sleep(for: .seconds(1))
                        }
                        throw CancellationError()
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, has: "timer.started sleep")
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(run.id, is: .cancelled)
            #expect(effects.all == ["told"])
        }
    }

    @Test func codeThatCatchesACancellationMayComplete() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    do { return try await context.signal(Poke.self) } catch { return "anyway" }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
            #expect(try await run.result() == "anyway")
        }
    }

    @Test func `a timeout and a scope of one name keep apart what they have done`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { _, context in
                    _ = try await context.timeout(.seconds(60), name: "part") {
                        try await context.step(Reserve(effects: effects), input: 1)
                    }
                    do {
                        try await context.scope("part") {
                            _ = try await context.step(Reserve(effects: effects), input: 2)
                            throw Rejected("late")
                        }
                    } catch is Rejected {}
                    return "done"
                }
            }
            let run = try await harness.start()
            #expect(try await run.result() == "done")
            #expect(effects.all == ["reserve 1", "reserve 2", "release r2 of 2"])
            #expect(try await harness.count("step.succeeded part/reserve", in: run.id) == 1)
            #expect(try await harness.count("step.succeeded part#2/reserve", in: run.id) == 1)
        }
    }
}
