import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct BusinessKeyTests {
    /// Charges the order that the input names before the slash; fails afterwards if the input ends so.
    private func flow(_ effects: Effects, _ gate: StepGate) -> Flow {
        Flow { input, context in
            let order = String(input.prefix { $0 != "/" })
            do {
                let receipt = try await context.step(
                    "charge", key: order, input: input.contains("other") ? "other" : order, .idempotent(retention: .forever),
                    policy: .plain()
                ) { text, step in
                    effects.add("charge", key: step.idempotencyKey)
                    try await gate.pass()
                    return "receipt \(text)"
                } undo: { _, step in
                    effects.add("refund", key: step.idempotencyKey)
                }
                if input.contains("fail") { throw Rejected("late") }
                return receipt
            } catch let failure as StepFailure {
                return failure.code
            }
        }
    }

    // Promise: 11
    @Test func oneOrderIsChargedOnceWhicheverRunAsks() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), flow = flow(harness.effects, gate)
            try await harness.open { flow }
            let first = try await harness.start("7/a")
            try await harness.until { gate.arrivals == 1 }
            let second = try await harness.start("7/b")
            try await harness.until(second.id, is: .waiting)
            gate.open()
            #expect(try await first.result() == "receipt 7")
            #expect(try await second.result() == "receipt 7")
            #expect(try await harness.start("7/c").result() == "receipt 7")
            #expect(harness.effects.all == ["charge"])
            #expect(
                try await harness.attributes(.stepSucceeded, of: second.id)["adopted_from"]?.stringValue == first.id.description)
        }
    }

    @Test func theSameKeyWithAnotherInputIsACodedFailure() async throws {
        try await withEngines { harness in
            let flow = flow(harness.effects, harness.gate(isOpen: true))
            try await harness.open { flow }
            #expect(try await harness.start("7/a").result() == "receipt 7")
            #expect(try await harness.start("7/other").result() == "key_conflict")
            #expect(harness.effects.all == ["charge"])
        }
    }

    @Test func aKeyIsFreeAgainAfterItsStepWasUndone() async throws {
        try await withEngines { harness in
            let flow = flow(harness.effects, harness.gate(isOpen: true))
            try await harness.open { flow }
            let failed = try await harness.start("7/fail")
            try await harness.until(failed.id, is: .failed)
            #expect(try await harness.start("7/other").result() == "receipt other")
            #expect(harness.effects.all == ["charge", "refund", "charge"])
            // A new generation of the key is a new key for the other side.
            #expect(harness.effects.distinct("charge") == 2)
        }
    }

    @Test func whoAdoptedAnOutcomeDoesNotUndoIt() async throws {
        try await withEngines { harness in
            let flow = flow(harness.effects, harness.gate(isOpen: true))
            try await harness.open { flow }
            #expect(try await harness.start("7/a").result() == "receipt 7")
            let failed = try await harness.start("7/fail")
            try await harness.until(failed.id, is: .failed)
            #expect(harness.effects.all == ["charge"])
        }
    }

    @Test func whoWaitsForAKeyIsToldAfterACrashToo() async throws {
        for crashes in [1, 2] {
            try await withEngines { harness in
                let gate = harness.gate(), effects = harness.effects
                let flow = flow(effects, gate)
                try await harness.open { flow }
                let first = try await harness.start("7/a")
                try await harness.until { gate.arrivals == 1 }
                let second = try await harness.start("7/b")
                try await harness.until(second.id, is: .waiting)
                for _ in 0..<crashes {
                    let arrivals = gate.arrivals
                    try await harness.crash()
                    try await harness.open { flow }
                    // A run whose process died twice comes back with a delay. Its attempt has a limit: time passes only before it.
                    try await harness.advance(by: .milliseconds(100), whileWaiting: first.id) { gate.arrivals > arrivals }
                }
                gate.open()
                #expect(try await harness.result(first.id) == "receipt 7")
                #expect(try await harness.result(second.id) == "receipt 7")
                #expect(effects.distinct("charge") == 1)
            }
        }
    }

    @Test func aRunThatWaitsForAKeyCannotBeForgottenByACrashBeforeItsWaitIsStored() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), flow = flow(harness.effects, gate)
            try await harness.open { flow }
            let first = try await harness.start("7/a")
            try await harness.until { gate.arrivals == 1 }
            harness.script.set { call in
                if case .awaitKey = call { return .dieBefore }
                return .apply
            }
            let second = try await harness.start("7/b")
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            gate.open()
            try await harness.open { flow }
            #expect(try await harness.result(first.id) == "receipt 7")
            #expect(try await harness.result(second.id) == "receipt 7")
        }
    }

    // Promise: 13
    @Test func `nobody acts under the key of an attempt that was under way when its run lost process and code`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                try await context.step(
                    "charge", key: "7", input: 7, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
                ) { _, step in
                    effects.add("charge", key: step.idempotencyKey)
                    if effects.count("charge") == 1 { throw Hiccup(isDefinite: true) }
                    await gate.hang()
                    return input
                }
            }
            try await harness.open { flow }
            let first = try await harness.start("first")
            try await harness.until(first.id, has: "step.attempt_failed charge")
            try await harness.advance(by: .seconds(1), whileWaiting: first.id) { gate.arrivals == 1 }
            try await harness.crash()
            // The second attempt has left no event. The engine that comes next has another version of the workflow.
            try await harness.open { NewerFlow { input, _ in input } }
            try await harness.engine.client.terminate(first.id, by: EngineHarness.bob)
            try await harness.until(first.id, is: .terminated)
            #expect(try await harness.lines(first.id).suffix(2) == ["step.in_doubt charge", "run.terminated"])
            try await harness.stop()
            try await harness.open { flow }
            let second = try await harness.start("second")
            try await harness.until(second.id, is: .waiting)
            #expect(effects.count("charge") == 2)
            let client = try await harness.observer()
            let waits = try await client.store.awaitedKeys(of: try await harness.record(second.id).number)
            #expect(waits.map(\.record.holder) == [first.id] && waits.map(\.subject) == ["charge"])
            harness.clock.advance(by: .seconds(120))
            try await client.resolve(first.id, step: "charge", .happened(result: Data("\"first\"".utf8)), by: EngineHarness.bob)
            #expect(try await harness.result(second.id) == "first")
            #expect(effects.distinct("charge") == 1)
        }
    }
}
