import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

/// A step of the name of `Booking` that takes and gives something else.
private struct OtherBook: Step {
    static let name = "book"
    var effect: Effect<Int, Int> { .idempotent(retention: .forever) }
    func perform(_ input: Int, _ step: StepContext) async throws -> Int { input }
    func undo(_ output: Int, of input: Int, _ step: StepContext) async throws {}
}

/// Typed steps that are undone where the code of their run is not.
@Suite(.timeLimit(.minutes(5))) struct UndoWithoutCodeTests {
    // MARK: As with the code

    // Promise: 25
    @Test func `a step in doubt is undone where its run is not hosted, from what was recorded`() async throws {
        try await withEngines { harness in
            let run = try await harness.inDoubt()
            try await harness.undoPayment(run)
            try await harness.until(run, has: "undo.succeeded pay")
            try await harness.until(run, is: .ready)
            #expect(try await harness.unread(run) == 0)
            #expect(harness.effects.all == ["book room", "pay bill", "pay back receipt of bill"])
            let resolved = try await harness.attributes(.stepResolved, of: run)
            #expect(resolved["by"]?["id"] == "bob" && resolved["resolution"] == "undo" && resolved["without_code"] == true)
            try await harness.stop()
            try await harness.open { harness.payer }
            #expect(try await harness.result(run) == StepFailure.undone)
            #expect(harness.effects.all.count == 3)
            #expect(try await harness.problems(run) == [])
        }
    }

    // Promise: 25
    @Test func `a run that nobody hosts is reset, and what it did since is undone first, the newest first`() async throws {
        try await withEngines { harness in
            let run = try await harness.booked()
            try await harness.engine.client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            try await harness.until(run, is: .ready)
            #expect(harness.effects.all == ["book room", "book car", "unbook b-car of car", "unbook b-room of room"])
            let lines = try await harness.lines(run)
            #expect(
                lines.suffix(6).filter { !$0.hasPrefix("run.resumed") } == [
                    "undo.started book#2", "undo.succeeded book#2", "undo.started book", "undo.succeeded book", "run.reset",
                ])
            #expect(try await harness.unread(run) == 0)
            try await harness.stop()
            try await harness.open { harness.booker }
            try await harness.engine.client.signal(run, Poke.self, "well", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "well booked")
            #expect(harness.effects.all.suffix(2) == ["book room", "book car"])
            #expect(harness.effects.distinct("book room") == 2 && harness.effects.distinct("unbook b-room of room") == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a blocked run is reset with undo by steps that are registered, and other code goes on`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open { harness.booker }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.stop()
            try await harness.openSailing()
            let client = try harness.engine.client
            try await client.signal(run, Poke.self, "x", by: EngineHarness.bob)
            try await harness.until(run, is: .blocked)
            try await client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob)
            #expect(try await harness.result(run) == "sailed")
            #expect(
                effects.all == ["book room", "book car", "unbook b-car of car", "unbook b-room of room", "book boat"])
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `the undo has the key that it has with the code`() async throws {
        var keys: [String] = []
        for hasCode in [true, false] {
            try await withEngines { harness in
                try await harness.open { harness.booker }
                let run = try await harness.start().id
                try await harness.until(run, is: .waiting)
                if !hasCode {
                    try await harness.stop()
                    try await harness.openWithoutCode()
                }
                try await harness.engine.client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
                try await harness.until(run, has: "run.reset")
                let started = try await harness.attributes(.undoStarted, of: run)
                let key = IdempotencyKeySource(
                    namespace: "default", run: run, subject: "book#2", step: "book", businessKey: nil, generation: 0, isUndo: true
                )
                #expect(started["key"]?.stringValue == key.key)
                #expect(started["attempt"] == 1 && started["effect"] == "idempotent")
                keys.append(started.members.map(\.key).joined(separator: " "))
            }
        }
        #expect(keys.count == 2 && keys[0] == keys[1])
    }

    // MARK: Deaths

    /// Kills the process before and after each commit that comes of a message, then lets another one go on, with the code or without.
    private func sweep(
        commits: Int, hasCode: Bool, _ code: @escaping @Sendable (EngineHarness) -> Flow,
        prepare: (EngineHarness) async throws -> RunID, send: (EngineHarness, RunID) async throws -> Void, until last: String,
        check: (EngineHarness, RunID) async throws -> Void
    ) async throws {
        for number in 1...commits {
            for fate in [StoreFate.dieBefore, .dieAfter] {
                try Task.checkCancellation()
                try await withEngines { harness in
                    let run = try await prepare(harness)
                    let count = Mutex(0)
                    harness.script.set { call in
                        guard case .commit(_, let items) = call, items.contains(where: \.isAdvance) else { return .apply }
                        return count.withLock { count in
                            count += 1
                            return count == number ? fate : .apply
                        }
                    }
                    try await send(harness, run)
                    try await harness.until {
                        if harness.isDead { return true }
                        // All is over: the death does not come any more.
                        guard try await harness.record(run).owner == nil, try await harness.count(last, in: run) > 0 else {
                            return false
                        }
                        return try await harness.unread(run) == 0
                    }
                    #expect(harness.isDead, "there was no commit \(number)")
                    harness.script.set(nil)
                    try await harness.crash()
                    if hasCode { try await harness.open { code(harness) } } else { try await harness.openWithoutCode() }
                    try await harness.until(run, has: last)
                    try await harness.until { try await harness.unread(run) == 0 }
                    if !hasCode {
                        try await harness.until(run, is: .ready)
                        try await harness.stop()
                        try await harness.open { code(harness) }
                    }
                    try await check(harness, run)
                    #expect(try await harness.problems(run) == [], "death at commit \(number), \(fate)")
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `a death at any commit of an undo without code changes nothing of what comes of it`(hasCode: Bool) async throws {
        // Resolved, begun, over, given back.
        try await sweep(
            commits: 4, hasCode: hasCode, { $0.holder },
            prepare: { try await $0.left($0.holder, .parked) }, send: { harness, run in try await harness.undoHolding(run) },
            until: "undo.succeeded hold",
            check: { (harness: EngineHarness, run: RunID) async throws -> Void in
                #expect(try await harness.result(run) == StepFailure.undone)
                #expect(try await harness.count("step.resolved hold", in: run) == 1)
                #expect(try await harness.count("undo.succeeded hold", in: run) == 1)
                #expect(try await harness.count("operator.action hold", in: run) == 0)
                #expect(harness.effects.distinct("let go h") == 1 && harness.effects.count("hold") == 1)
            })
    }

    @Test(arguments: [true, false])
    func `a death at any commit of a reset that undoes without code changes nothing of what comes of it`(hasCode: Bool)
        async throws
    {
        // Begun, two undos with an intent each, reset.
        try await sweep(
            commits: 6, hasCode: hasCode, { $0.booker }, prepare: { try await $0.booked() },
            send: { harness, run in try await harness.engine.client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob) },
            until: "run.reset",
            check: { (harness: EngineHarness, run: RunID) async throws -> Void in
                try await harness.engine.client.signal(run, Poke.self, "well", by: EngineHarness.bob)
                #expect(try await harness.result(run) == "well booked")
                #expect(try await harness.count("run.reset", in: run) == 1)
                #expect(try await harness.count("operator.action", in: run) == 1)
                #expect(harness.effects.distinct("unbook b-room of room") == 1 && harness.effects.distinct("book room") == 2)
                #expect(harness.effects.distinct("unbook b-car of car") == 1 && harness.effects.distinct("book car") == 2)
            })
    }

    @Test(arguments: [true, false])
    func `a death at any commit after a pause between two attempts changes nothing of what comes of the undo`(hasCode: Bool)
        async throws
    {
        // Unpaused, over, given back: it has an intent already.
        try await sweep(
            commits: 3, hasCode: hasCode, { $0.holder }, prepare: { try await Self.pausedBetweenAttempts($0) },
            send: { harness, run in try await harness.engine.client.unpause(run, by: EngineHarness.bob) },
            until: "undo.succeeded hold",
            check: { (harness: EngineHarness, run: RunID) async throws -> Void in
                #expect(try await harness.result(run) == StepFailure.undone)
                #expect(try await harness.count("run.unpaused", in: run) == 1)
                #expect(try await harness.count("operator.action", in: run) == 0)
                #expect(try await harness.count("undo.succeeded hold", in: run) == 1)
                #expect(harness.effects.distinct("let go h") == 1 && harness.effects.count("hold") == 1)
            })
    }

    @Test func `an undo that must not be repeated and was cut off is in doubt, and a person says what became of it`() async throws
    {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.inDoubt { _ in await gate.hang() }
            try await harness.undoPayment(run)
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.openWithoutCode()
            try await harness.until(run, has: "undo.in_doubt pay")
            try await harness.until(run, is: .parked)
            #expect(try await harness.unread(run) == 0)
            try await harness.engine.client.resolve(run, step: "pay", .happened(result: nil), by: EngineHarness.bob)
            try await harness.until(run, has: "undo.resolved pay")
            try await harness.stop()
            try await harness.open { harness.payer }
            #expect(try await harness.result(run) == StepFailure.undone)
            #expect(gate.arrivals == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    // MARK: Errors

    @Test func `an undo that fails is tried again after its delays, also by the next process`() async throws {
        try await withEngines { harness in
            let run = try await harness.booked { _ in throw Hiccup() }
            try await harness.engine.client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.attempt_failed book#2")
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "undo.attempt_failed book#2", times: 2)
            // The engine that ends does not wait for the next attempt.
            try await harness.stop()
            #expect(try await harness.record(run).owner == nil)
            let attempts = try await harness.count("undo.attempt_failed book#2", in: run)
            try await harness.openWithoutCode()
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "run.reset")
            #expect(try await harness.count("undo.attempt_failed book#2", in: run) == attempts)
            #expect(harness.effects.count("unbook b-car of car") == attempts + 1)
            #expect(harness.effects.distinct("unbook b-car of car") == 1)
            #expect(try await harness.attributes(.undoSucceeded, of: run)["attempt"]?.integerValue == Int64(attempts) + 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `a run that cannot be read after something of it was committed is read again`() async throws {
        try await withEngines { harness in
            let run = try await harness.inDoubt(), isCommitted = Mutex(false)
            harness.script.set { call in
                switch call {
                case .commit(_, let items) where items.contains { $0.adds(.stepResolved) }:
                    isCommitted.withLock { $0 = true }
                case .events where isCommitted.withLock({ $0 }):
                    isCommitted.withLock { $0 = false }
                    return .fail(.unavailable("the disk is away"))
                default: break
                }
                return .apply
            }
            try await harness.undoPayment(run)
            try await harness.until { harness.logs.count("a run cannot be read") == 1 }
            harness.script.set(nil)
            try await harness.untilPausing(for: .seconds(1))
            harness.clock.advance(by: .seconds(1))
            try await harness.until(run, has: "undo.succeeded pay")
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `the code that returns in the middle goes on with the undo and the reset`() async throws {
        try await withEngines { harness in
            let run = try await harness.booked { _ in throw Hiccup() }
            try await harness.engine.client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.attempt_failed book#2")
            try await harness.stop()
            try await harness.open { harness.booker }
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "run.reset")
            try await harness.engine.client.signal(run, Poke.self, "well", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "well booked")
            #expect(try await harness.count("operator.action", in: run) == 1)
            #expect(harness.effects.distinct("unbook b-car of car") == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `code that fits and comes to a blocked run in the middle of its reset goes on with the undo and the reset`()
        async throws
    {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open { harness.booker }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.stop()
            try await harness.openSailing { _ in throw Hiccup() }
            let client = try harness.engine.client
            try await client.signal(run, Poke.self, "well", by: EngineHarness.bob)
            try await harness.until(run, is: .blocked)
            try await client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.attempt_failed book#2")
            try await harness.stop()
            #expect(try await harness.record(run).state == .blocked)
            #expect(try await harness.unread(run) == 2)
            let epoch = try await harness.record(run).epoch
            try await harness.open(build: "build-3") {
                harness.booker
            } steps: {
                Booking(effects: effects)
            }
            harness.clock.advance(by: .seconds(5))
            try await harness.until(run, has: "run.reset")
            #expect(try await harness.result(run) == "well booked")
            // Taken once for the undo, and once for what comes after the reset.
            #expect(try await harness.record(run).epoch <= epoch + 3)
            #expect(try await harness.count("operator.action", in: run) == 1)
            #expect(effects.distinct("unbook b-car of car") == 1)
            #expect(try await harness.problems(run) == [])
        }
    }

    @Test func `an undo that says that it cannot be done waits for a person, and is tried again when they say so`() async throws {
        try await withEngines { harness in
            let run = try await harness.booked { count in
                if count == 1 { throw Hiccup(isDefinite: true, isRetryable: false) }
            }
            let client = try harness.engine.client
            try await client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.failed book#2")
            try await harness.until(run, is: .parked)
            #expect(try await harness.record(run).note?.contains("undo of 'book#2' cannot go on") == true)
            #expect(try await harness.unread(run) == 0)
            // What was sent cannot act any more.
            harness.clock.advance(by: .minutes(2))
            try await client.resolve(run, step: "book#2", .didNotHappen, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            #expect(harness.effects.count("unbook b-car of car") == 2)
            #expect(try await harness.problems(run) == [])
        }
    }

    // MARK: What is refused

    @Test func `what is recorded and cannot be read by the step that is registered is refused with a code, and nothing is lost`()
        async throws
    {
        try await withEngines { harness in
            try await harness.open { harness.booker }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.stop()
            try await harness.open {
                NewerFlow { input, _ in input }
            } steps: {
                OtherBook()
            }
            try await harness.engine.client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action")
            let refused = try await harness.attributes(.operatorAction, of: run)
            #expect(refused["refused"] == "reset_refused")
            #expect(refused["message"]?.stringValue?.contains("the recorded input of step 'book'") == true)
            try await harness.until(run, is: .waiting)
            #expect(try await harness.unread(run) == 0)
            try await harness.stop()
            try await harness.openWithoutCode()
            try await harness.engine.client.reset(run, to: 1, completed: .undo, by: EngineHarness.bob)
            try await harness.until(run, has: "run.reset")
            #expect(harness.effects.count("unbook b-room of room") == 1)
        }
    }

    @Test func `a result that the step cannot have, and a step that is not registered, are refused`() async throws {
        try await withEngines { harness in
            let run = try await harness.inDoubt()
            let client = try harness.engine.client
            try await client.resolve(run, step: "pay", .undo(result: Data("7".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action pay")
            #expect(try await harness.attributes(.operatorAction, of: run)["refused"] == "answer_invalid")
            try await harness.stop()
            try await harness.open { NewerFlow { input, _ in input } }
            try await harness.undoPayment(run)
            try await harness.until(run, has: "operator.action pay", times: 2)
            #expect(try await harness.attributes(.operatorAction, of: run)["refused"] == "step_not_stuck")
            try await harness.until(run, is: .parked)
            #expect(try await harness.unread(run) == 0)
            #expect(harness.effects.all == ["book room", "pay bill"])
        }
    }

    @Test func `two steps of one name cannot be registered`() {
        let error = #expect(throws: PerdureError.self) {
            _ = try StepRegistry([RegisteredStep(Booking(effects: Effects(Pulse()))), RegisteredStep(OtherBook())])
        }
        #expect(error?.code == .stepDuplicate)
    }

    // MARK: What comes in between

    @Test func `a run that is terminated while it is undone without code says that the undo is in doubt`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.booked { _ in await gate.hang() }
            let client = try harness.engine.client
            try await client.reset(run, to: 2, completed: .undo, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 1 }
            try await client.terminate(run, reason: "enough", by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            #expect(try await harness.lines(run).suffix(2) == ["undo.in_doubt book#2", "run.terminated"])
            #expect(try await harness.unread(run) == 0)
            #expect(try await harness.problems(run) == [])
        }
    }

    /// A run whose undo has failed once, and is paused before it is tried again; by now that would be due.
    private static func pausedBetweenAttempts(_ harness: EngineHarness) async throws -> RunID {
        let run = try await harness.left(harness.holder, .parked) { count in if count == 1 { throw Hiccup() } }
        try await harness.undoHolding(run)
        try await harness.until(run, has: "undo.attempt_failed hold")
        try await harness.engine.client.pause(run, by: EngineHarness.bob)
        try await harness.until(run, is: .paused)
        #expect(try await harness.unread(run) == 0)
        harness.clock.advance(by: .minutes(1))
        return run
    }

    @Test func `a run that is paused between two attempts is undone when it goes on`() async throws {
        try await withEngines { harness in
            let run = try await Self.pausedBetweenAttempts(harness)
            try await harness.engine.client.unpause(run, by: EngineHarness.bob)
            try await harness.until(run, has: "undo.succeeded hold")
            let lines = try await harness.lines(run)
            #expect(lines.firstIndex { $0 == "run.unpaused" }.map { $0 < lines.count - 1 } == true)
            #expect(lines.filter { $0.hasPrefix("undo.") }.count == 3 && lines.last == "undo.succeeded hold")
            #expect(harness.effects.count("let go h") == 2)
            try await harness.until { try await harness.unread(run) == 0 }
            #expect(try await harness.problems(run) == [])
        }
    }
}

extension CommitItem {
    fileprivate var isAdvance: Bool { if case .advance = self { true } else { false } }
}
