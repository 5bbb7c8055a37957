import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Undos where the run's code is not, among messages that change what the run is, and deaths.
@Suite(.timeLimit(.minutes(5))) struct UndoAmongMessagesTests {
    /// A held thing whose release has failed once and is to be tried again.
    private static func backingOff(_ harness: EngineHarness) async throws -> RunID {
        let run = try await harness.left(harness.holder, .parked) { count in if count == 1 { throw Hiccup() } }
        try await harness.undoHolding(run)
        try await harness.until(run, has: "undo.attempt_failed hold")
        return run
    }

    @Test func `a version that is changed while something is undone counts as soon as that is on record`() async throws {
        try await withEngines { harness in
            let run = try await Self.backingOff(harness)
            try await harness.engine.client.repin(run, to: "3", by: EngineHarness.bob)
            try await harness.until(run, has: "run.repinned")
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "undo.succeeded hold")
            try await harness.until(run, is: .ready)
            #expect(try await harness.record(run).version == "3")
            #expect(try await harness.unread(run) == 0)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a version that is changed in the same breath as an undo is asked for counts, too`() async throws {
        try await withEngines { harness in
            let run = try await harness.left(harness.holder, .parked)
            try await harness.stop()
            // Nobody reads them yet.
            let client = try await harness.make { NewerFlow { input, _ in input } }.engine.client
            try await client.repin(run, to: "3", by: EngineHarness.bob)
            try await harness.undoHolding(run)
            try await harness.close()
            try await harness.openWithoutCode()
            try await harness.until(run, has: "undo.succeeded hold")
            try await harness.until(run, is: .ready)
            #expect(try await harness.record(run).version == "3")
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test(arguments: [StoreFate.dieBefore, .dieAfter])
    func `a stuck undo that a person releases is over also if the process dies at once`(fate: StoreFate) async throws {
        try await withEngines { harness in
            let run = try await harness.booked { count in if count == 1 { throw Hiccup(isDefinite: true, isRetryable: false) } }
            let client = try harness.engine.client
            try await client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, is: .parked)
            #expect(try await harness.unread(run) == 0)
            harness.clock.advance(by: .minutes(2))
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.adds(.undoResolved) }) else {
                    return .apply
                }
                return fate
            }
            try await client.resolve(run, step: "book#2", .didNotHappen, by: EngineHarness.bob)
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.openWithoutCode()
            try await harness.until(run, has: "run.reset")
            #expect(try await harness.count("undo.resolved book#2", in: run) == 1)
            #expect(try await harness.count("operator.action", in: run) == 1)
            try await harness.until { try await harness.unread(run) == 0 }
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `an undo that takes its process down is parked, and tried again when a person says so`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.left(harness.holder, .parked) { _ in await gate.hang() }
            try await harness.undoHolding(run)
            for death in 1...3 {
                try await harness.until { gate.arrivals == death }
                try await harness.crash()
                try await harness.openWithoutCode { _ in await gate.hang() }
            }
            // It was parked before, for another reason, and is looked after once more for what is unread.
            try await harness.until { try await harness.record(run).note?.contains("died 3 times") == true }
            try await harness.until { try await harness.unread(run) == 0 }
            try await harness.until(run, is: .parked)
            #expect(try await harness.record(run).note?.contains("died 3 times") == true)
            try await harness.stop()
            #expect(gate.arrivals == 3)
            try await harness.openWithoutCode()
            try await harness.engine.client.retry(run, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.succeeded hold")
            try await harness.until(run, is: .ready)
            #expect(try await harness.unread(run) == 0)
            #expect(harness.effects.distinct("let go h") == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a blocked run whose undo took its process down stays blocked for its code when it is tried again`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.booked()
            try await harness.stop()
            try await harness.openSailing { _ in await gate.hang() }
            try await harness.engine.client.signal(run, Poke.self, "x", by: EngineHarness.bob)
            try await harness.until(run, is: .blocked)
            try await harness.engine.client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob)
            for death in 1...3 {
                try await harness.until { gate.arrivals == death }
                try await harness.crash()
                try await harness.openSailing { _ in await gate.hang() }
            }
            try await harness.until(run, is: .parked)
            try await harness.until { try await harness.unread(run) == 1 }
            try await harness.stop()
            try await harness.openSailing()
            try await harness.engine.client.retry(run, by: EngineHarness.bob)
            #expect(try await harness.result(run) == "sailed")
            let lines = try await harness.lines(run)
            #expect(lines.filter { $0.hasPrefix("run.blocked") }.count == 1, "\(lines)")
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a reset that is refused leaves an undo that goes on by itself alone`() async throws {
        try await withEngines { harness in
            let run = try await Self.backingOff(harness)
            try await harness.engine.client.reset(run, to: 1, by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action")
            let refused = try await harness.attributes(.operatorAction, of: run)
            #expect(refused["refused"] == "reset_refused")
            #expect(refused["message"]?.stringValue?.contains("is being undone") == true)
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "undo.succeeded hold")
            #expect(try await harness.count("undo.in_doubt hold", in: run) == 0)
            try await harness.until { try await harness.unread(run) == 0 }
        }
    }

    @Test func `code that is here when a pause ends goes on with everything, and undoes by itself`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { _, context in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            _ = try? await context.step(Holding(effects: effects) { _ in throw Hiccup() }, input: "seat")
                        }
                        group.addTask {
                            let room = try await context.signal(Poke.self)
                            try await context.step(Booking(effects: effects), input: room)
                        }
                        try await group.waitForAll()
                    }
                    return "done"
                }
            } steps: {
                Holding(effects: effects) { _ in throw Hiccup() }
            }
            let run = try await harness.start().id, client = try harness.engine.client
            try await harness.until(run, has: "step.in_doubt hold")
            try await harness.undoHolding(run)
            try await harness.until(run, has: "undo.attempt_failed hold")
            try await client.pause(run, by: EngineHarness.bob)
            try await harness.until(run, is: .paused)
            try await client.unpause(run, by: EngineHarness.bob)
            try await client.signal(run, Poke.self, "room", by: EngineHarness.bob)
            try await harness.until(run, has: "step.succeeded book")
            #expect(try await harness.count("undo.succeeded hold", in: run) == 0)
            #expect(try await harness.count("operator.action", in: run) == 0)
            try await harness.until { try await harness.unread(run) == 0 }
        }
    }

    @Test func `the generation of a step that is done again stands in its first event, whichever that is`() throws {
        var step = RecordedStep(), head = ChainHead.start(namespace: "default", run: "r")
        for (kind, attributes, input) in [
            (EventKind.stepSucceeded, Attributes.make(("step_type", "book")), true),
            (.stepAttemptFailed, Attributes.make(("step_type", "book"), ("generation", .integer(1))), true),
            (.stepInDoubt, Attributes.make(("reason", "non_retryable")), false),
        ] {
            let draft = EventDraft(
                kind, subject: "book", attributes: attributes, input: input ? .inline(Array("\"room\"".utf8)) : nil)
            let event = head.append(draft, run: "r", now: Timestamp(microseconds: 0))
            step.add(event, try event.attributes.object())
        }
        #expect(step.generation == 1 && step.type == "book")
    }
}
