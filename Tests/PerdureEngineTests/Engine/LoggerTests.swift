import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct LoggerTests {
    @Test(arguments: [0, 1_000]) func everyLineIsLoggedOnceWhateverIsReplayed(cached: Int) async throws {
        try await withEngines { harness in
            let flow = Flow { input, context in
                context.logger.info("first line")
                _ = try await context.read("a") { 1 }
                context.logger.info("second line")
                _ = try await context.signal(Poke.self)
                context.logger.info("third line")
                _ = try await context.signal(Poke.self)
                context.logger.info("fourth line")
                return input
            }
            let configure: (inout EngineConfiguration) -> Void = { $0.cachedRuns = cached }
            try await harness.open(configure: configure) { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open(configure: configure) { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            _ = try await harness.result(run.id)
            for line in ["first line", "second line", "third line", "fourth line"] {
                #expect(harness.logs.count(line) == 1, "\(line)")
            }
        }
    }

    private struct Refused: Error {}

    @Test func theLoggerOfABodySaysWhetherItUndoes() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                _ = try await context.step("pay", input: input, .idempotent(retention: .forever)) { text, step in
                    effects.add("pays \(step.logger[metadataKey: "undo"].map { "\($0)" } ?? "")")
                    return text
                } undo: { _, step in
                    effects.add("pays back \(step.logger[metadataKey: "undo"].map { "\($0)" } ?? "")")
                }
                throw Refused()
            }
            try await harness.open { flow }
            let run = try await harness.start()
            _ = try? await run.result()
            #expect(effects.all == ["pays ", "pays back true"])
        }
    }

    @Test func aRunThatWasTakenOnLaterLogsItsFirstLineToo() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open(configure: { $0.activeRuns = 1 }) {
                Flow { input, context in
                    context.logger.info("line of \(input)")
                    return try await context.read("hold", input: input) { text, _ in
                        try await gate.pass()
                        return text
                    }
                }
            }
            let first = try await harness.start("1"), second = try await harness.start("2")
            try await harness.until { gate.arrivals == 1 }
            gate.open()
            _ = try await first.result()
            _ = try await second.result()
            #expect(harness.logs.count("line of 1") == 1)
            #expect(harness.logs.count("line of 2") == 1)
        }
    }
}
