import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Values that stand beside their events.
@Suite(.timeLimit(.minutes(5))) struct LargeValueTests {
    /// Hands a large text from step to step, and waits in the middle.
    private static func flow(_ effects: Effects) -> Flow {
        Flow { input, context in
            let text = try await context.step("grow", input: input, .idempotent(retention: .forever), irreversible: "x") {
                text, _ in
                effects.add("grow")
                return String(repeating: text, count: 100_000)
            }
            let word = try await context.signal(Poke.self)
            let length = try await context.read("measure", input: text) { text, _ in text.count }
            effects.add("measured")
            return "\(word.count) \(length)"
        }
    }

    private static func waiting(_ harness: EngineHarness) async throws -> RunID {
        try await harness.open(configure: { $0.cachedRuns = 0 }) { flow(harness.effects) }
        let run = try await harness.start("y").id
        try await harness.until(run, is: .waiting)
        return run
    }

    // Promise: 27
    @Test func largeInputsOutputsAndSignalsComeBackAsTheyWere() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            let engine = try await harness.open { Self.flow(harness.effects) }
            try await engine.client.signal(run, Poke.self, String(repeating: "z", count: 90_000), by: EngineHarness.bob)
            #expect(try await harness.result(run) == "90000 100000")
            #expect(harness.effects.all == ["grow", "measured"])
            let sizes = try await harness.history(run).flatMap { [$0.input, $0.output] }.compactMap { $0?.size }
            #expect(sizes.filter { $0 > 65_536 } == [100_002, 90_002, 100_002])
        }
    }

    @Test(arguments: [
        "UPDATE blobs SET content = replace(content, 'yyyy', 'nnnn')", "UPDATE blobs SET content = '\"y\"'", "DELETE FROM blobs",
    ]) func aLargeValueThatWasChangedOrLostQuarantinesItsRunAndNamesItsPlace(edit: String) async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            try Tampering.change(harness.path, edit)
            let engine = try await harness.open { Self.flow(harness.effects) }
            try await engine.client.signal(run, Poke.self, "z", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run) }
            #expect(error?.code == .runQuarantined)
            #expect(error?.message.contains("vent 2") == true, "\(error?.message ?? "")")
            #expect(harness.effects.all == ["grow"])
            // The check at the end of the test wants a sound store.
            try await harness.stop()
            try Tampering.change(harness.path, "DELETE FROM blobs; DELETE FROM events; DELETE FROM runs; DELETE FROM inbox")
        }
    }
}
