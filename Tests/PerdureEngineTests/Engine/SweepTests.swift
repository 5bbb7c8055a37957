import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Histories that are verified in the background.
@Suite(.timeLimit(.minutes(5))) struct SweepTests {
    private static let find = "a history was verified and does not hold together"

    private static let flow = Flow { input, context in
        let text = try await context.read("look", input: input) { text, _ in text }
        if input == "quick" { return text }
        return try await context.signal(Poke.self)
    }

    /// Lets seconds pass until the condition holds.
    private static func passing(
        _ harness: EngineHarness, _ step: Duration = .seconds(1), until condition: () async throws -> Bool
    ) async throws {
        try await harness.until {
            if try await condition() { return true }
            harness.clock.advance(by: step)
            Task { harness.pulse.ring() }
            return false
        }
    }

    private static func sweeping(_ configuration: inout EngineConfiguration) { configuration.verificationRate = 1_000 }

    // Promise: 49
    @Test(arguments: [0, 1_000]) func aBrokenHistoryOfAWaitingRunIsFoundAndSetAside(cached: Int) async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: {
                Self.sweeping(&$0)
                $0.cachedRuns = cached
            }) { Self.flow }
            let sound = try await harness.start().id, broken = try await harness.start().id
            for run in [sound, broken] { try await harness.until(run, is: .waiting) }
            async let result = engine.result(of: broken)
            let number = try await harness.record(broken).number
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 2 AND run = \(number)")
            try await Self.passing(harness) { try await harness.record(broken).state == .quarantined }
            #expect(try await harness.record(broken).note?.contains("vent 2") == true)
            #expect(try await harness.record(sound).state == .waiting)
            #expect(harness.logs.count(Self.find) == 1)
            do {
                _ = try await result
                Issue.record("a quarantined run has no result")
            } catch let error as PerdureError {
                #expect(error.code == .runQuarantined)
            }
        }
    }

    // Promise: 49
    @Test func aBrokenHistoryOfAClosedRunIsReportedAndLeftAsItIs() async throws {
        try await withEngines { harness in
            try await harness.open(configure: Self.sweeping) { Self.flow }
            let run = try await harness.start("quick")
            #expect(try await run.result() == "quick")
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 2")
            try await Self.passing(harness) { harness.logs.count(Self.find) == 1 }
            #expect(try await harness.record(run.id).state == .completed)
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET output = '\"quick\"' WHERE seq = 2")
        }
    }

    @Test func aBrokenHistoryOfAnOwnedRunIsReportedAndLeftToItsOwner() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open(configure: Self.sweeping) {
                Flow { input, context in
                    _ = try await context.read("look", input: input) { text, _ in text }
                    return try await context.read("hold", input: input) { text, _ in
                        await gate.hang()
                        return text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 2")
            try await Self.passing(harness) { harness.logs.count(Self.find) == 1 }
            #expect(try await harness.record(run.id).state == .running)
            try Tampering.change(harness.path, "UPDATE events SET output = '\"x\"' WHERE seq = 2")
            gate.open()
            #expect(try await run.result() == "x")
        }
    }

    @Test func aSoundStoreIsGoneThroughAgainAndAgainWithoutAWord() async throws {
        try await withEngines { harness in
            let reads = harness.effects
            try await harness.open(configure: {
                Self.sweeping(&$0)
                $0.retention = .days(1)
            }) { Self.flow }
            let closed = try await harness.start("quick"), open = try await harness.start().id
            #expect(try await closed.result() == "quick")
            try await harness.until(open, is: .waiting)
            harness.script.set { call in
                if case .events = call { reads.add("page") }
                return .apply
            }
            // Long enough for several rounds, before and after the closed run expires.
            try await Self.passing(harness, .minutes(20)) {
                try await harness.record(closed.id).tombstone != nil && reads.count("page") > 60
            }
            #expect(harness.logs.count(Self.find) == 0)
            #expect(try await harness.record(open).state == .waiting)
        }
    }

    @Test func whileNoTimePassesNothingIsRead() async throws {
        try await withEngines { harness in
            let reads = harness.effects
            try await harness.open(configure: {
                $0.verificationRate = 2
                $0.historyPage = 1
            }) { Self.flow }
            let run = try await harness.start("quick")
            #expect(try await run.result() == "quick")
            harness.script.set { call in
                if case .events = call { reads.add("page") }
                return .apply
            }
            #expect(try await harness.start("quick").result() == "quick")
            #expect(reads.count("page") == 0)
            // Each second brings two events at most; the histories have three each.
            var seconds = 0
            try await Self.passing(harness) {
                seconds += 1
                return reads.count("page") >= 8
            }
            #expect(seconds >= 3)
        }
    }

    @Test(arguments: [
        "UPDATE runs SET version = CAST(x'C328' AS TEXT) WHERE number = 2",
        "UPDATE events SET kind = 'step.dreamt' WHERE run = 2 AND seq = 2",
    ]) func aRunThatCannotBeReadKeepsNoOtherFromBeingVerified(change: String) async throws {
        try await withEngines { harness in
            let engine = try await harness.open { Self.flow }
            for _ in 0..<3 { #expect(try await harness.start("quick").result() == "quick") }
            let first = try #require(try await engine.client.runs().last)
            try await harness.stop()
            try Tampering.change(harness.path, change)
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE run = 1 AND seq = 2")
            try await harness.open(configure: Self.sweeping) { Self.flow }
            try await Self.passing(harness) { harness.logs.count(Self.find) == 1 }
            #expect(harness.logs.entries.contains { $0.message == Self.find && $0.metadata["run"] == first.id.description })
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE runs SET version = '1'")
            try Tampering.change(harness.path, "UPDATE events SET kind = 'step.succeeded' WHERE seq = 2")
            try Tampering.change(harness.path, "UPDATE events SET output = '\"quick\"' WHERE seq = 2")
        }
    }

    @Test func aStoreThatCannotBeReadIsSweptLater() async throws {
        try await withEngines { harness in
            let run: RunID
            do {
                try await harness.open { Self.flow }
                run = try await harness.start().id
                try await harness.until(run, is: .waiting)
                try await harness.stop()
            }
            try Tampering.change(harness.path, "UPDATE events SET output = '7' WHERE seq = 2")
            let failures = Mutex(0)
            harness.script.set { call in
                guard case .events = call, failures.withLock({ $0 }) < 3 else { return .apply }
                failures.withLock { $0 += 1 }
                return .fail(.unavailable("busy"))
            }
            try await harness.open(configure: Self.sweeping) { Self.flow }
            try await Self.passing(harness) { try await harness.record(run).state == .quarantined }
            #expect(failures.withLock { $0 } == 3)
            // Said once, however often it was tried.
            #expect(harness.logs.count("histories cannot be verified now") == 1)
        }
    }
}

extension Duration {
    fileprivate static func minutes(_ count: Int) -> Duration { .seconds(60 * count) }
}
