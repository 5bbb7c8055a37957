import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct LanguageTests {
    @Test func readsStepsAndActsReturnWhatHistoryHolds() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    let read = try await context.read("look", input: input) { text, _ in text + "!" }
                    let made = try await context.step("make", input: read, .idempotent(retention: .forever)) { text, step in
                        effects.add("make", key: step.idempotencyKey)
                        return text.uppercased()
                    } undo: { _, _ in
                    }
                    try await context.act("tell", input: made, .idempotent(retention: .forever), irreversible: "it was said") {
                        text, step in
                        effects.add("tell \(text)", key: step.idempotencyKey)
                    }
                    return made
                }
            }
            let run = try await harness.start("hello")
            #expect(try await run.result() == "HELLO!")
            #expect(effects.all == ["make", "tell HELLO!"])
            #expect(
                try await harness.lines(run.id) == [
                    "run.started", "step.succeeded look", "step.succeeded make", "step.succeeded tell", "run.completed",
                ])
        }
    }

    // Promise: 1, 3
    @Test func aRunThatWaitsGoesOnAfterACrashAndRepeatsNothing() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                let made = try await context.step("make", input: input, .idempotent(retention: .forever), irreversible: "x") {
                    text, step in
                    effects.add("make", key: step.idempotencyKey)
                    return text.uppercased()
                }
                try await context.sleep(for: .seconds(86_400))
                return made
            }
            try await harness.open { flow }
            let run = try await harness.start("hello")
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open { flow }
            harness.clock.advance(by: .seconds(86_400))
            #expect(try await harness.result(run.id) == "HELLO")
            #expect(effects.all == ["make"])
        }
    }
}
