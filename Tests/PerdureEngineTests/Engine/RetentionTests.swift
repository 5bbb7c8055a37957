import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// Closed runs whose time is over, as an engine treats them.
@Suite(.timeLimit(.minutes(5))) struct RetentionTests {
    private static let echo = Flow { input, context in
        try await context.read("echo", input: input) { text, _ in text }
    }

    private static func keep(_ retention: Duration?, _ tombstone: Duration? = nil)
        -> @Sendable (inout EngineConfiguration) -> Void
    {
        { configuration in
            configuration.retention = retention
            configuration.tombstoneRetention = tombstone
        }
    }

    /// Lets time pass until the condition holds.
    private static func passing(_ harness: EngineHarness, until condition: () async throws -> Bool) async throws {
        try await harness.until {
            if try await condition() { return true }
            harness.clock.advance(by: .hours(1))
            Task { harness.pulse.ring() }
            return false
        }
    }

    @Test func withoutARetentionHistoriesAreKeptForEver() async throws {
        try await withEngines { harness in
            let engine = try await harness.open { Self.echo }
            let run = try await harness.start()
            #expect(try await run.result() == "x")
            let calls = harness.effects
            harness.script.set { call in
                if case .expire = call { calls.add("expire") }
                return .apply
            }
            harness.clock.advance(by: .days(3_650))
            #expect(try await harness.start("y").result() == "y")
            // What is left of earlier settings is looked for, and nothing else goes.
            while calls.all.isEmpty { await Task.yield() }
            #expect(try await harness.start("z").result() == "z")
            #expect(try await engine.client.run(run.id).expiredAt == nil)
        }
    }

    @Test func anExpiredRunKeepsItsKeyAndSaysThatItsResultIsGone() async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: Self.keep(.days(30))) { Self.echo }
            let run = try await harness.start(key: "order 7")
            #expect(try await run.result() == "x")
            try await Self.passing(harness) { try await harness.record(run.id).tombstone != nil }
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runExpired)
            let view = await #expect(throws: PerdureError.self) { try await engine.client.pendingApprovals(of: run.id) }
            #expect(view?.code == .runExpired)
            let message = await #expect(throws: PerdureError.self) {
                try await engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            }
            #expect(message?.code == .runClosed)
            let status = await #expect(throws: PerdureError.self) { try await engine.client.status(of: run.id) }
            #expect(status?.code == .runExpired)
            let info = try await engine.client.run(run.id)
            #expect(info.state == "completed" && info.expiredAt != nil && info.key == "order 7")
            #expect(try await harness.start(key: "order 7").id == run.id)
            let conflict = await #expect(throws: PerdureError.self) { try await harness.start("other", key: "order 7") }
            #expect(conflict?.code == .runConflict)
            #expect(try await harness.lines(run.id) == ["run.expired"])
            #expect(try await harness.problems(run.id) == [])
        }
    }

    @Test func aTombstoneThatIsGoneSetsItsKeyFree() async throws {
        try await withEngines { harness in
            let engine = try await harness.open(configure: Self.keep(.days(30), .days(60))) { Self.echo }
            let run = try await harness.start(key: "order 7")
            #expect(try await run.result() == "x")
            try await Self.passing(harness) { try await engine.client.runs().isEmpty }
            let again = try await harness.start("other", key: "order 7")
            #expect(again.id != run.id)
            #expect(try await again.result() == "other")
        }
    }

    @Test func aStoreThatCannotRemoveNowIsAskedAgain() async throws {
        try await withEngines { harness in
            let failures = Mutex(0)
            harness.script.set { call in
                guard case .expire = call else { return .apply }
                let count = failures.withLock { failures in
                    failures += 1
                    return failures
                }
                return count <= 3 ? .fail(.unavailable("busy")) : .apply
            }
            try await harness.open(configure: Self.keep(.days(1))) { Self.echo }
            let run = try await harness.start()
            #expect(try await run.result() == "x")
            try await Self.passing(harness) { try await harness.record(run.id).tombstone != nil }
            #expect(failures.withLock { $0 } > 3)
            // Said once, however often it was tried.
            #expect(harness.logs.count("what has expired cannot be removed") == 1)
            #expect(harness.logs.count("what has expired can be removed again") == 1)
        }
    }

    @Test func aRunInDoubtIsKept() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let engine = try await harness.open(configure: Self.keep(.days(1))) {
                Flow { input, context in
                    if input == "quick" { return input }
                    return try await context.step("slow", input: input, .idempotent(retention: .forever), irreversible: "x") {
                        text, _ in
                        await gate.hang()
                        return text
                    }
                }
            }
            let doubtful = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await engine.client.terminate(doubtful.id, by: EngineHarness.bob)
            try await harness.until(doubtful.id, is: .terminated)
            let other = try await harness.start("quick")
            #expect(try await other.result() == "quick")
            try await Self.passing(harness) { try await harness.record(other.id).tombstone != nil }
            #expect(try await harness.record(doubtful.id).tombstone == nil)
            #expect(try await harness.lines(doubtful.id).contains("step.in_doubt slow"))
            gate.open()
        }
    }
}
