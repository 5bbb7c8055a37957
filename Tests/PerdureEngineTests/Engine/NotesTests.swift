import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Status, labels, patches and deadlines on the real engine and store.
@Suite(.timeLimit(.minutes(5))) struct NotesTests {
    @Test func aStatusIsReadWithoutWakingTheRun() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.report(["done": 1])
                    try await context.report(["done": 2])
                    return try await context.signal(Poke.self)
                }
            }
            let run = try await harness.start(), client = try harness.engine.client
            try await harness.until(run.id, is: .waiting)
            #expect(try await client.status(of: run.id)?.json == Data(#"{"done":2}"#.utf8))
            try await harness.stop()
            let outside = try await harness.observer()
            #expect(try await outside.status(of: run.id)?.json == Data(#"{"done":2}"#.utf8))
            #expect(try await harness.record(run.id).state == .waiting)
        }
    }

    @Test func aRunWithoutAStatusHasNone() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, context in try await context.signal(Poke.self) } }
            let run = try await harness.start()
            #expect(try await harness.engine.client.status(of: run.id) == nil)
            #expect(try await harness.engine.client.labels(of: run.id).isEmpty)
        }
    }

    @Test func runsAreFoundByTheLabelsTheyWereStartedWithAndThoseTheyGaveThemselves() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.label(["stage": input])
                    return try await context.signal(Poke.self)
                }
            }
            let engine = try harness.engine, client = engine.client
            let first = try await engine.start(
                Flow.self, input: "a", labels: ["customer": "7", "stage": "none"], by: EngineHarness.ada)
            let second = try await engine.start(Flow.self, input: "b", labels: ["customer": "7"], by: EngineHarness.ada)
            for run in [first, second] { try await harness.until(run.id, is: .waiting) }
            #expect(try await client.runs(labels: ["customer": "7"]).map(\.id) == [second.id, first.id])
            #expect(try await client.runs(labels: ["customer": "7", "stage": "a"]).map(\.id) == [first.id])
            #expect(try await client.labels(of: first.id) == ["customer": "7", "stage": "a"])
        }
    }

    @Test func labelsThatCannotBeRecordedAreRefusedAtTheEdgeAndBlockARunWhoseCodeAsksForThem() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.label(["": "x"])
                    return "never"
                }
            }
            let engine = try harness.engine
            let error = await #expect(throws: PerdureError.self) {
                try await engine.start(Flow.self, input: "", labels: ["a b": "1"], by: EngineHarness.ada)
            }
            #expect(error?.code == .labelInvalid)
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            try await harness.stop()
            try await harness.open(build: "build-2") { Flow { _, _ in "mended" } }
            #expect(try await harness.result(run.id) == "mended")
        }
    }

    @Test func aSleepUntilAMomentEndsThen() async throws {
        try await withEngines { harness in
            let due = harness.clock.now() + .hours(2)
            try await harness.open {
                Flow { _, context in
                    try await context.sleep(until: due.date)
                    return "awake"
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            #expect(try await harness.record(run.id).wakeAt == due)
            harness.clock.advance(by: .hours(2))
            #expect(try await run.result() == "awake")
        }
    }

    // Promise: 25
    @Test func aRunFollowsAChangeOnlyIfItHadNotPassedIt() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, context in try await "old " + context.signal(Poke.self) } }
            let old = try await harness.start()
            try await harness.until(old.id, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") {
                Flow { _, context in try await (context.patched("p") ? "new " : "old ") + context.signal(Poke.self) }
            }
            let new = try await harness.start()
            for run in [old, new] { try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob) }
            #expect(try await harness.result(old.id) == "old s")
            #expect(try await harness.result(new.id) == "new s")
            #expect(try await harness.count("version.patched p", in: new.id) == 1)
        }
    }

    @Test func aFollowedChangeIsKnownAfterACrash() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await (context.patched("p") ? "new " : "old ") + context.signal(Poke.self) }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, has: "version.patched p")
            try await harness.crash()
            try await harness.open(build: "build-2") { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "new s")
        }
    }

    // Promise: 17
    @Test func aRunThatPassesItsDeadlineUndoesWhatItDidAndFails() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { _, context in
                    _ = try await context.step("reserve", input: "r", .idempotent(retention: .forever)) { text, _ in
                        effects.add("reserve")
                        return text
                    } undo: { _, _ in
                        effects.add("release")
                    }
                    return try await context.signal(Poke.self)
                }
            }
            let run = try await harness.engine.start(Flow.self, input: "", deadline: .hours(1), by: EngineHarness.ada)
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .hours(1))
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runFailed && error?.message.contains(StepFailure.deadlinePassed) == true)
            #expect(effects.all == ["reserve", "release"])
        }
    }
}
