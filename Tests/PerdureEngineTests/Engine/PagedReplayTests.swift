import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

/// Histories that are longer than what is kept of them in memory.
@Suite(.timeLimit(.minutes(5))) struct PagedReplayTests {
    /// Sixty steps, a wait, and a last step.
    private static func long(_ effects: Effects) -> Flow {
        Flow { input, context in
            for number in 0..<60 {
                _ = try await context.read("look", input: number) { number, _ in
                    effects.add("look")
                    return number
                }
            }
            effects.add("replayed")
            let word = try await context.signal(Poke.self)
            return try await context.read("last", input: word) { word, _ in
                effects.add("last")
                return word
            }
        }
    }

    /// Pages so small that the history of `long` has many of them.
    private static func small(_ configuration: inout EngineConfiguration) {
        configuration.historyPage = 5
        configuration.cachedRuns = 0
    }

    /// Leaves a run of `long` that waits for its signal.
    private static func waiting(_ harness: EngineHarness) async throws -> RunID {
        try await harness.open(configure: Self.small) { Self.long(harness.effects) }
        let run = try await harness.start().id
        try await harness.until(run, is: .waiting)
        return run
    }

    // Promise: 27
    @Test func aLongHistoryIsReplayedInPagesAndNothingIsRepeated() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            let reads = harness.effects
            harness.script.set { call in
                if case .events = call { reads.add("page") }
                return .apply
            }
            let engine = try await harness.open(configure: Self.small) { Self.long(harness.effects) }
            try await engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "done")
            #expect(harness.effects.count("look") == 60)
            #expect(harness.effects.count("last") == 1)
            // Read to be verified, and read again to be fed.
            #expect(reads.count("page") >= 24)
        }
    }

    @Test func aChainThatBreaksInALatePageIsQuarantinedBeforeAnyCodeRuns() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 58")
            let before = harness.effects.count("replayed")
            let engine = try await harness.open(configure: Self.small) { Self.long(harness.effects) }
            try await engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run) }
            #expect(error?.code == .runQuarantined)
            #expect(try await harness.record(run).note?.contains("58") == true)
            #expect(harness.effects.count("replayed") == before)
            #expect(engine.state.withLock { $0.table.count } == 0)
        }
    }

    @Test func aHistoryThatIsChangedWhileItIsFedIsQuarantinedAndActsNoMore() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            let pages = Mutex(0), path = harness.path
            harness.script.set { call in
                guard case .events = call else { return .apply }
                let page = pages.withLock { pages in
                    pages += 1
                    return pages
                }
                // The thirteen pages have been verified; some are fed already.
                if page == 16 { try? Tampering.change(path, "UPDATE events SET output = '7' WHERE seq = 58") }
                return .apply
            }
            let engine = try await harness.open(configure: Self.small) { Self.long(harness.effects) }
            try await engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run) }
            #expect(error?.code == .runQuarantined)
            #expect(harness.effects.count("last") == 0)
            try await harness.untilInMemory(of: engine) { $0 == 0 }
        }
    }

    @Test func aStoreThatCannotBeReadInTheMiddleOfAReplayIsAskedAgain() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            let pages = Mutex(0)
            harness.script.set { call in
                guard case .events = call else { return .apply }
                let page = pages.withLock { pages in
                    pages += 1
                    return pages
                }
                return page == 7 || page == 25 ? .fail(.unavailable("busy")) : .apply
            }
            let engine = try await harness.open(configure: Self.small) { Self.long(harness.effects) }
            try await engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            try await harness.until {
                harness.clock.advance(by: .seconds(1))
                Task { harness.pulse.ring() }
                return try await harness.record(run).state.isFinal
            }
            #expect(try await harness.result(run) == "done")
            #expect(harness.effects.count("look") == 60)
            #expect(harness.effects.count("last") == 1)
        }
    }

    @Test func codeThatDoesNotFitALatePageIsBlockedAndTheRightCodeGoesOn() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            try await harness.open(build: "build-2", configure: Self.small) {
                Flow { input, context in
                    for number in 0..<55 { _ = try await context.read("look", input: number) { number, _ in number } }
                    return try await context.read("other", input: input) { text, _ in text }
                }
            }
            try await harness.engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            try await harness.until(run, is: .blocked)
            try await harness.stop()
            try await harness.open(configure: Self.small) { Self.long(harness.effects) }
            #expect(try await harness.result(run) == "done")
            #expect(harness.effects.count("look") == 60)
        }
    }

    @Test func aLongRunWhoseCodeIsGoneIsTerminatedFromItsPages() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.stop()
            try await harness.open(configure: Self.small) { NewerFlow { input, _ in input } }
            try await harness.engine.client.terminate(run, by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            #expect(try await harness.lines(run).last == "run.terminated")
        }
    }

    @Test func aResultIsReadFromTheEndOfTheHistory() async throws {
        try await withEngines { harness in
            let run = try await Self.waiting(harness)
            try await harness.engine.client.signal(run, Poke.self, "done", by: EngineHarness.bob)
            try await harness.until(run, is: .completed)
            let reads = harness.effects
            harness.script.set { call in
                if case .events = call { reads.add("page") }
                return .apply
            }
            #expect(try await harness.result(run) == "done")
            #expect(reads.count("page") == 0)
        }
    }

    // MARK: What does not grow

    @Test func aRunThatIsNeverGivenUpForgetsTheMessagesThatItHasTakenIn() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let engine = try await harness.open {
                Flow { input, context in
                    async let held = context.read("hold", input: input) { text, _ in
                        try await gate.pass()
                        return text
                    }
                    for _ in 0..<300 { _ = try await context.signal(Poke.self) }
                    return try await held
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            for number in 0..<300 { try await engine.client.signal(run.id, Poke.self, "\(number)", by: EngineHarness.bob) }
            try await harness.until(run.id, has: "signal.received poke", times: 300)
            let number = try await harness.record(run.id).number
            let activation = try #require(engine.state.withLock { $0.table[number] })
            #expect(activation.state.withLock { $0.knownRows.count } < 100)
            #expect(activation.state.withLock { $0.consumedRows.count } < 100)
            gate.open()
            #expect(try await run.result() == "x")
        }
    }

    @Test func aViewOfOpenWorkForgetsWhatIsOver() {
        var view = RunView(ofOpenWorkAnd: ["step#3"]), head = ChainHead.start(namespace: "n", run: "r")
        for number in 1...5_000 {
            let drafts = [
                EventDraft(.stepSucceeded, subject: "step#\(number)", attributes: ["effect": "idempotent"]),
                EventDraft(.timerStarted, subject: "sleep#\(number)"), EventDraft(.timerFired, subject: "sleep#\(number)"),
            ]
            view.add(head.append(contentsOf: drafts, run: "r", now: .epoch))
            if number == 2_000 { view.add([head.append(EventDraft(.stepInDoubt, subject: "open"), run: "r", now: .epoch)]) }
        }
        #expect(view.steps.count < 2_000 && view.timers.count < 2_000)
        #expect(view.step("step#3")?.hasHappened == true)
        #expect(view.stuck("open") != nil)
    }

    @Test func timesOfWaitsThatWereGivenUpDoNotPileUp() throws {
        let identity = RunIdentity(
            id: RunID(milliseconds: 0, random: (1, 2)), namespace: "n", workflow: "w", version: "1", salt: [])
        var machine = RunMachine(identity: identity, build: "b", node: "n")
        var head = ChainHead.start(namespace: "n", run: "r")
        for number in 1...2_000 {
            let id = machine.requestTimer("limit#\(number)", duration: .days(3))
            machine.rest()
            try machine.feed(head.append(EventDraft(.timerStarted, subject: "limit#\(number)"), run: "r", now: .epoch))
            machine.cancel(id)
            try machine.feed(head.append(EventDraft(.timerCancelled, subject: "limit#\(number)"), run: "r", now: .epoch))
        }
        #expect(machine.rememberedTimes < 100)
    }
}
