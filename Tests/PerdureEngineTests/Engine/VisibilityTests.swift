import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What an operator hears of without asking.
@Suite(.timeLimit(.minutes(5))) struct VisibilityTests {
    @Test func anAttemptThatFailsIsLoggedWithItsNextTime() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "charge", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
                    ) { text, step in
                        if step.attempt == 1 { throw Hiccup() }
                        return text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let entry = try #require(harness.logs.entries.first { $0.message == "an attempt failed" })
            let next = try await harness.attributes(.stepAttemptFailed, of: run.id)["next_at"]?.integerValue
            #expect(entry.level == .warning)
            #expect(entry.metadata["run"] == run.id.description && entry.metadata["step"] == "charge")
            #expect(entry.metadata["type"] == "Hiccup" && entry.metadata["definite"] == "false")
            #expect(entry.metadata["attempt"] == "1")
            #expect(entry.metadata["next_at"] == next.map { "\(Timestamp(microseconds: $0))" })
            harness.clock.advance(by: .seconds(1))
            _ = try await run.result()
            #expect(harness.logs.count("an attempt failed") == 1)
        }
    }

    @Test func aStepInDoubtAndARunThatParksAreLoggedAndCounted() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.step("send", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") {
                        _, _ -> String in
                        throw Hiccup()
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            // What is on disk is told of after that.
            try await harness.until { harness.logs.lines.contains("a run is parked") }
            let doubt = try #require(harness.logs.entries.first { $0.message == "a step is in doubt" })
            #expect(doubt.level == .warning && doubt.metadata["step"] == "send" && doubt.metadata["reason"] == "no_answer")
            let parked = try #require(harness.logs.entries.first { $0.message == "a run is parked" })
            #expect(parked.level == .warning && parked.metadata["run"] == run.id.description)
            #expect(try await harness.engine.client.counts() == ["parked": 1])
            #expect(try await harness.engine.client.counts(namespace: "other").isEmpty)
        }
    }

    @Test func aBodyThatDoesNotEndAfterItsDeadlineIsLoggedOnce() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "slow", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
                    ) { text, _ in
                        await gate.hang()
                        return text
                    }
                }
            }
            let run = try await harness.start()
            let line = "a body does not end after its deadline; its step waits for it"
            try await harness.until { gate.arrivals == 1 }
            harness.clock.advance(by: .seconds(60))
            try await harness.engine.client.signal(run.id, Poke.self, "look", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            #expect(harness.logs.count(line) == 0)
            harness.clock.advance(by: .seconds(10))
            try await harness.until { harness.logs.count(line) == 1 }
            #expect(harness.logs.entries.first { $0.message == line }?.metadata["step"] == "slow")
            try await harness.engine.client.signal(run.id, Poke.self, "look", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke", times: 2)
            #expect(harness.logs.count(line) == 1)
            gate.open()
            #expect(try await run.result() == "x")
        }
    }
}
