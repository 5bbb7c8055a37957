import Foundation
import Logging
import Perdure
import PerdureHistory
import PerdureSQLite
import PerdureStore
import Synchronization
import Testing

@testable import PerdureEngine

@Suite(.timeLimit(.minutes(5))) struct TroubleTests {
    private static let waiting = Flow { _, context in try await context.signal(Poke.self) }

    @Test(arguments: [true, false]) func aStoreThatCannotCommitStopsRunsAndResumesThem(losesAnswers: Bool) async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    for name in ["a", "b"] {
                        try await context.act(name, input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { _, _ in
                            effects.add(name)
                        }
                    }
                    return "done"
                }
            }
            let failures = Mutex(0)
            harness.script.set { call in
                guard case .commit(let number, _) = call, number > 1, failures.withLock({ $0 }) < 6 else { return .apply }
                failures.withLock { $0 += 1 }
                return losesAnswers ? .applyAndFail(.outcomeUnknown("cut")) : .fail(.unavailable("disk full"))
            }
            let run = try await harness.start()
            try await harness.until {
                harness.clock.advance(by: .seconds(1))
                Task { harness.pulse.ring() }
                return try await harness.record(run.id).state.isFinal
            }
            #expect(try await run.result() == "done")
            #expect(effects.all == ["a", "b"])
            #expect(failures.withLock { $0 } == 6)
        }
    }

    @Test func thatOtherNodesAreWaitedForIsToldOnceAndByTheirNames() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.act("a", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { _, _ in }
                    return "done"
                }
            }
            let failures = Mutex(0)
            harness.script.set { call in
                guard case .commit(let number, _) = call, number > 1, failures.withLock({ $0 }) < 6 else { return .apply }
                failures.withLock { $0 += 1 }
                return .fail(.awaitsNodes([NodeID(rawValue: "node-2"), NodeID(rawValue: "node-3")]))
            }
            let run = try await harness.start()
            try await harness.until {
                harness.clock.advance(by: .seconds(1))
                Task { harness.pulse.ring() }
                return try await harness.record(run.id).state.isFinal
            }
            let told = harness.logs.entries.filter { $0.message.contains("have looked at it") }
            #expect(failures.withLock { $0 } == 6)
            #expect(told.map(\.level) == [.notice] && told.first?.metadata["nodes"] == "node-2, node-3")
            #expect(harness.logs.entries.allSatisfy { $0.level < .error })
        }
    }

    @Test func aStoreThatCannotBeReadIsAskedAgain() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.cachedRuns = 0 }) { Self.waiting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let failures = Mutex(0)
            harness.script.set { call in
                switch call {
                case .claim, .events, .inbox, .ownedInbox, .nextWake:
                    guard failures.withLock({ $0 }) < 8 else { return .apply }
                    failures.withLock { $0 += 1 }
                    return .fail(.unavailable("busy"))
                default: return .apply
                }
            }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until {
                harness.clock.advance(by: .seconds(1))
                Task { harness.pulse.ring() }
                return try await harness.record(run.id).state.isFinal
            }
            #expect(try await run.result() == "s")
        }
    }

    @Test func aCorruptStoreEndsTheEngineWithItsCode() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.script.set { call in
                if case .commit = call { .fail(.corrupt("a page is damaged")) } else { .apply }
            }
            await #expect(throws: PerdureError.self) {
                try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            }
            let failure = try await harness.untilEnded()
            #expect((failure as? PerdureError)?.code == .storeCorrupt)
        }
    }

    @Test func aStoreThatFailsForGoodAtAStepsTransactionEndsTheEngineToo() async throws {
        try await withEngines { harness in
            harness.script.set { call in
                // A transaction comes as a commit of nothing.
                if case .commit(_, let items) = call, items.isEmpty { .fail(.corrupt("a page is damaged")) } else { .apply }
            }
            try await harness.open {
                Flow { input, context in
                    try await context.step("book", input: input, .transactional(in: .sqlite), irreversible: "x") {
                        input, connection in
                        try connection.execute("CREATE TABLE bookings (item TEXT NOT NULL)")
                        return input
                    }
                }
            }
            let run = try await harness.start()
            let failure = try await harness.untilEnded()
            #expect((failure as? PerdureError)?.code == .storeCorrupt)
            let said = harness.logs.entries.filter { $0.level == .critical }
            #expect(said.map { $0.metadata["run"] } == [run.id.description])
        }
    }

    // Promise: 27, 49
    @Test func aBrokenChainIsQuarantinedAndNeverExecuted() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                let text = try await context.read("look", input: input) { text, _ in text }
                _ = try await context.signal(Poke.self)
                effects.add("went on with \(text)")
                return text
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET output = CAST('\"forged\"' AS BLOB) WHERE seq = 2")
            try await harness.open { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run.id) }
            #expect(error?.code == .runQuarantined)
            #expect(try await harness.record(run.id).state == .quarantined)
            #expect(effects.all.isEmpty)
        }
    }

    @Test func aRunWhoseLastEventCannotBeReadIsReportedAndFailsThoseWhoWaitForIt() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await context.signal(Poke.self) }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET hash = x'0102' WHERE seq = 1")
            let engine = try await harness.open { flow }
            async let result = engine.result(of: run.id)
            try await harness.until {
                Task { harness.pulse.ring() }
                return !engine.waiters.isEmpty
            }
            try await engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            do {
                _ = try await result
                Issue.record("a quarantined run has no result")
            } catch let error as PerdureError {
                #expect(error.code == .runQuarantined)
            }
            let said = harness.logs.entries.filter { $0.message == "a run's history is broken; the run is quarantined" }
            #expect(said.map { $0.metadata["run"] } == [run.id.description] && said.first?.level == .critical)
        }
    }

    private static let looking = Flow { _, context in
        try await context.read("look", input: "") { _, _ in "seen" } + context.signal(Poke.self)
    }

    /// A run that has an event of a kind that this release does not know, and that an engine of this release has met.
    private static func blockedByALaterRelease(_ harness: EngineHarness) async throws -> Run<String> {
        try await harness.open { looking }
        let run = try await harness.start()
        try await harness.until(run.id, is: .waiting)
        try await harness.stop()
        try Tampering.change(harness.path, "UPDATE events SET kind = 'step.dreamt' WHERE seq = 2")
        try await harness.open { looking }
        try await harness.engine.client.signal(run.id, Poke.self, "!", by: EngineHarness.bob)
        try await harness.until(run.id, is: .blocked)
        return run
    }

    /// What the later release would make of its event, this one can only show by reading it as it was.
    private static func openLaterRelease(_ harness: EngineHarness) async throws {
        try Tampering.change(harness.path, "UPDATE events SET kind = 'step.succeeded' WHERE seq = 2")
        try await harness.open(build: "build-2") { looking }
    }

    @Test func whatOnlyALaterReleaseCanReadBlocksTheRunUntilItIsThere() async throws {
        try await withEngines { harness in
            let run = try await Self.blockedByALaterRelease(harness)
            #expect(try await harness.record(run.id).note?.contains("'step.dreamt'") == true)
            try await harness.stop()
            try await Self.openLaterRelease(harness)
            #expect(try await harness.result(run.id) == "seen!")
        }
    }

    @Test func aBlockedRunIsTriedAgainWithoutAnybodyReadingItsHistory() async throws {
        try await withEngines { harness in
            let run = try await Self.blockedByALaterRelease(harness)
            let client = try harness.engine.client
            let blocked = try await client.runs(for: .retry, in: RunSelection(states: ["blocked"]))
            let results = try await client.intervene(.retry, in: blocked, by: EngineHarness.bob)
            #expect(results.map(\.run.id) == [run.id] && results.first?.error == nil)
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET kind = 'step.succeeded' WHERE seq = 2")
        }
    }

    @Test func aMessageThatCannotBeReadIsRefusedInTheHistoryAndHoldsUpNoOther() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await context.signal(Poke.self) }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            let outside = try await harness.observer()
            for text in ["lost", "kept"] { try await outside.signal(run.id, Poke.self, text, by: EngineHarness.bob) }
            try Tampering.change(
                harness.path, "UPDATE inbox SET kind = 'telepathy' WHERE number = (SELECT min(number) FROM inbox)")
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "kept")
            #expect(try await harness.count("operator.action poke", in: run.id) == 1)
        }
    }

    // Promise: 6
    @Test func aRunThatTakesItsProcessDownAgainAndAgainIsParkedAndCanBeRetried() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                try await context.read("trap", input: input) { text, _ in
                    effects.add("trap")
                    try await gate.pass()
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            for death in 1...3 {
                // It comes back late, and is watched then: time passes only while it waits.
                try await harness.advance(by: .milliseconds(250), whileWaiting: run.id) { effects.count("trap") == death }
                try await harness.crash()
                try await harness.open { flow }
            }
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.record(run.id).note?.contains("died 3 times") == true)
            gate.open()
            try await harness.engine.client.retry(run.id, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "x")
        }
    }

    @Test func terminatingARunWithCodePutsWhatMayHaveHappenedInDoubt() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { input, context in
                    try await context.step("slow", input: input, .idempotent(retention: .forever)) { text, _ in
                        try await gate.pass()
                        return text
                    } undo: { _, _ in
                        Issue.record("a terminated run undoes nothing")
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.engine.client.terminate(run.id, reason: "stop", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runTerminated)
            #expect(try await harness.lines(run.id).suffix(2) == ["step.in_doubt slow", "run.terminated"])
        }
    }

    @Test func aSecondEngineOnTheSameFileIsRefused() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let path = harness.path
            let error = await #expect(throws: PerdureError.self) { try await Engine(store: .sqlite(path)) { Self.waiting } }
            #expect(error?.code == .storeLocked)
        }
    }

    @Test func `an error text that no store can hold as it is parks the run all the same`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.read("look", input: input, policy: .plain(attempts: 1)) { _, _ -> String in
                        throw Garbled()
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .parked)
            #expect(try await harness.record(run.id).note?.contains(#"no\u{0} \u{1b}[31mred"#) == true)
            #expect(try await harness.count("run.parked", in: run.id) == 1)
        }
    }

    @Test func `a name that no store can hold blocks the run all the same`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.read("a\0b", input: input) { text, _ in text } }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.count(#"run.blocked a\u{0}b"#, in: run.id) == 1)
        }
    }

    @Test func `a block that the store cannot hold is recorded without quoting anything`() async throws {
        try await withEngines { harness in
            let refusals = Mutex(0)
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.blocks }) else { return .apply }
                return refusals.withLock { count in
                    count += 1
                    return count == 1 ? .refuse(.invalid("it is too strange")) : .apply
                }
            }
            try await harness.open {
                Flow { input, context in try await context.read("a/b", input: input) { text, _ in text } }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note == "The store cannot hold what the run wants to record.")
            #expect(refusals.withLock { $0 } == 2)
        }
    }

    @Test func `what a body has done is recorded before the block that ends its activation, and messages are looked at`()
        async throws
    {
        try await withEngines { harness in
            let gate = harness.gate(), commit = harness.gate()
            try await harness.open {
                Flow { input, context in
                    async let paid = context.step("pay", input: input, .idempotent(retention: .forever), irreversible: "x") {
                        text, _ in
                        await gate.hang()
                        return text
                    }
                    _ = try await context.signal(Poke.self)
                    _ = try await context.read("a/b", input: input) { text, _ in text }
                    return try await paid
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            let observer = try await harness.observer()
            harness.script.set { call in
                guard case .commit(_, let items) = call else { return .apply }
                await commit.hang()
                // It comes when the activation looks at no message any more: before that it would be the end of the run.
                if items.contains(where: \.blocks) { try? await observer.terminate(run.id, by: EngineHarness.bob) }
                return .apply
            }
            try await observer.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            try await harness.until { commit.arrivals == 1 }
            gate.open()
            try await harness.untilBodyHasEnded(of: run.id)
            commit.open()
            try await harness.until(run.id, is: .terminated)
            #expect(
                try await harness.lines(run.id) == [
                    "run.started", "signal.received poke", "step.succeeded pay", "run.blocked a/b", "run.terminated",
                ])
        }
    }

    @Test func `messages to a run that only a later release can read wait for it, and the run stands where it stood`()
        async throws
    {
        try await withEngines { harness in
            let run = try await Self.blockedByALaterRelease(harness)
            let before = try await harness.record(run.id)
            try await harness.engine.client.terminate(run.id, by: EngineHarness.bob)
            // No time passes: it is given back at once, and nothing is said twice.
            try await harness.until {
                let now = try await harness.record(run.id)
                return now.epoch > before.epoch && now.state == .blocked && now.note == before.note
            }
            try await harness.stop()
            try await Self.openLaterRelease(harness)
            try await harness.until(run.id, is: .terminated)
            #expect(try await harness.count("run.blocked", in: run.id) == 1)
        }
    }

    @Test func `a store that cannot commit is asked again after a pause, whatever the clock is set to meanwhile`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let failures = Mutex(0)
            harness.script.set { call in
                guard case .commit = call else { return .apply }
                return failures.withLock { count in
                    count += 1
                    return count == 1 ? .fail(.unavailable("disk full")) : .apply
                }
            }
            let observer = try await harness.observer()
            try await observer.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            // The first pause is that long.
            try await harness.untilPausing(for: .milliseconds(20))
            harness.clock.advance(by: .seconds(-3_600))
            harness.clock.advance(by: .milliseconds(20))
            #expect(try await harness.result(run.id) == "s")
            #expect(harness.logs.lines.contains { $0.contains("cannot commit") })
        }
    }
}

private struct Garbled: Error, CustomStringConvertible {
    let description = "no\0 \u{1B}[31mred"
}

extension CommitItem {
    fileprivate var blocks: Bool {
        guard case .advance(let advance) = self else { return false }
        return advance.events.contains { $0.kind == .runBlocked }
    }
}
