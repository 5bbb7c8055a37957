import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Runs that go on from an earlier point, with a store and engines that die.
@Suite(.timeLimit(.minutes(3))) struct ResetTests {
    /// Two effects that can be undone, with a wait before and behind the second.
    private static func flow(_ harness: EngineHarness, second: String = "two") -> Flow {
        let effects = harness.effects
        return Flow { input, context in
            try await context.steps("one", second, input: input, effects)
            _ = try await context.signal(Poke.self)
            return second
        }
    }

    // Promise: 24, 25
    @Test func `a run that waits is reset, says who did it, and repeats nothing`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            let preview = try await client.resetPreview(run, to: 2)
            #expect(preview.completed.map(\.name) == ["two"] && preview.completed.map(\.event) == [3])
            try await client.reset(run, to: 2, reason: "wrong list", by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            let attributes = try await harness.attributes(.runReset, of: run)
            #expect(attributes["by"]?["id"] == "bob" && attributes["reason"] == "wrong list" && attributes["to"] == 2)
            try await client.signal(run, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "two")
            #expect(harness.effects.all == ["one", "two"])
            #expect(try await harness.problems(run) == [])
            let error = await #expect(throws: PerdureError.self) {
                try await client.reset(run, to: 2, by: EngineHarness.bob)
            }
            #expect(error?.code == .runClosed)
        }
    }

    @Test(arguments: [EventKind.operatorAction, .undoStarted, .undoSucceeded, .runReset], [true, false])
    func `a death at any commit of a reset changes nothing of what comes of it`(_ kind: EventKind, isBefore: Bool) async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(kind) }) else { return .apply }
                return isBefore ? .dieBefore : .dieAfter
            }
            try await harness.engine.client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open { Self.flow(harness) }
            try await harness.until(run, has: "run.reset")
            try await harness.engine.client.signal(run, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "two")
            let all = harness.effects.all
            #expect(all.count { $0 == "one" } == 1)
            // Once before the reset and once after it. An undo that a death cut off is sent again.
            #expect(all.count { $0 == "two" } == 2 && all.contains("undo two"))
            #expect(try await harness.count("run.reset", in: run) == 1)
            try await harness.until { try harness.engine.recovery.isFinished }
            #expect(try harness.engine.recovery.runsHeldBack == 0)
            let keys = try await harness.history(run).filter { $0.kind == .stepSucceeded && $0.subject == "two" }.map(\.output)
            #expect(keys.count == 2 && keys[0] != keys[1])
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a blocked run is reset without its code, and goes on with code that fits from there`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") { Self.flow(harness, second: "other") }
            let client = try harness.engine.client
            try await client.signal(run, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run, is: .blocked)
            try await client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action")
            #expect(try await harness.attributes(.operatorAction, of: run)["refused"] == "reset_refused")
            try await harness.until(run, is: .blocked)
            try await client.reset(run, to: 2, by: EngineHarness.bob)
            #expect(try await harness.result(run) == "other")
            #expect(harness.effects.all == ["one", "two", "other"])
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a paused run is reset and stays paused`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            try await client.pause(run, by: EngineHarness.bob)
            try await harness.until(run, is: .paused)
            try await client.reset(run, to: 1, completed: .keep, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            try await harness.until(run, is: .paused)
            #expect(harness.effects.all == ["one", "two"])
            try await client.unpause(run, by: EngineHarness.bob)
            try await client.signal(run, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "two")
            #expect(harness.effects.all == ["one", "two", "one", "two"])
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a reset without code puts what is not known in doubt, and is done when that is resolved`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = Flow { input, context in
                _ = try await context.read("look", input: input) { input, _ in input }
                try await context.act("pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain(), irreversible: "x")
                { _, _ in
                    await gate.hang()
                }
                return input
            }
            try await harness.open { flow }
            let run = try await harness.start().id
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.open { NewerFlow { input, _ in input } }
            let client = try harness.engine.client
            try await client.reset(run, to: 1, by: EngineHarness.bob)
            try await harness.until(run, has: "step.in_doubt pay")
            try await client.resolve(run, step: "pay", .happened(result: nil), by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await client.reset(run, to: 1, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            gate.open()
            try await harness.stop()
            try await harness.open { flow }
            #expect(try await harness.result(run) == "x")
            #expect(gate.arrivals == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a long history is reset and read in pages, also by the next process`() async throws {
        try await withEngines { harness in
            func small(_ configuration: inout EngineConfiguration) {
                configuration.historyPage = 5
                configuration.cachedRuns = 0
            }
            let effects = harness.effects
            let flow = Flow { input, context in
                var words: [String] = []
                for number in 0..<40 {
                    _ = try await context.read("look", input: number) { number, _ in
                        effects.add("look")
                        return number
                    }
                    if number % 20 == 19 { words.append(try await context.signal(Poke.self)) }
                }
                words.append(try await context.signal(Poke.self))
                return words.joined()
            }
            try await harness.open(configure: small) { flow }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.engine.client.signal(run, Poke.self, "a", by: EngineHarness.bob)
            try await harness.until(run, has: "step.succeeded look#40")
            try await harness.engine.client.signal(run, Poke.self, "b", by: EngineHarness.bob)
            try await harness.until(run, has: "signal.received poke", times: 2)
            try await harness.engine.client.reset(run, to: 11, completed: .keep, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            try await harness.until(run, has: "step.succeeded look#40", times: 2)
            try await harness.stop()
            try await harness.open(configure: small) { flow }
            try await harness.engine.client.signal(run, Poke.self, "c", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "abc")
            #expect(effects.count("look") == 70)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `what cannot be reset is refused before anything is sent`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow(harness) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            let client = try harness.engine.client
            for to in [Int64(0), 3, 99] {
                let error = await #expect(throws: PerdureError.self) {
                    try await client.reset(run, to: to, by: EngineHarness.bob)
                }
                #expect(error?.code == .resetRefused)
            }
            let error = await #expect(throws: PerdureError.self) {
                try await client.reset(run, to: 2, exceptions: ["one": .undo], by: EngineHarness.bob)
            }
            #expect(error?.code == .stepUnknown)
            #expect(try await harness.history(run).count == 3)
        }
    }
}
