import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Runs that are due in a moment. The lead is 100 ms.
@Suite(.timeLimit(.minutes(5))) struct LeadTests {
    private static func sleeper(_ duration: Duration) -> Flow {
        Flow { input, context in
            try await context.sleep(for: duration)
            return input
        }
    }

    @Test func aRunThatSleepsForAMomentIsNotGivenUp() async throws {
        try await withEngines { harness in
            try await harness.open { Self.sleeper(.milliseconds(100)) }
            let run = try await harness.start().id
            try await harness.until(run, has: "timer.started sleep")
            harness.clock.advance(by: .milliseconds(100))
            #expect(try await harness.result(run) == "x")
            #expect(try await harness.record(run).epoch == 1)
        }
    }

    @Test func aRunIsBroughtInBeforeItIsDueAndGoesOnWhenItIs() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.cachedRuns = 0 }) { Self.sleeper(.seconds(10)) }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            harness.clock.advance(by: .milliseconds(9_899))
            harness.clock.advance(by: .milliseconds(61))
            try await harness.until(run, is: .running)
            try await harness.untilInMemory(of: try harness.engine) { $0 == 1 }
            #expect(try await harness.count("timer.fired sleep", in: run) == 0)
            harness.clock.advance(by: .milliseconds(40))
            #expect(try await harness.result(run) == "x")
        }
    }

    @Test func aRunThatIsDueInAMomentDoesNotHoldUpTheShutdown() async throws {
        try await withEngines { harness in
            try await harness.open { Self.sleeper(.milliseconds(100)) }
            let run = try await harness.start().id
            try await harness.until(run, has: "timer.started sleep")
            try await harness.stop()
            #expect(try await harness.record(run).state == .waiting)
            try await harness.open { Self.sleeper(.milliseconds(100)) }
            harness.clock.advance(by: .milliseconds(100))
            #expect(try await harness.result(run) == "x")
        }
    }

    @Test func aMessageThatCameBeforeWhatIsDueComesFirst() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    async let word = context.signal(Poke.self)
                    try await context.sleep(for: .milliseconds(100))
                    return try await word
                }
            }
            let run = try await harness.start().id
            try await harness.until(run, has: "timer.started sleep")
            let observer = try await harness.observer()
            try await observer.signal(run, Poke.self, "early", by: EngineHarness.bob)
            harness.clock.advance(by: .milliseconds(100))
            #expect(try await harness.result(run) == "early")
            let lines = try await harness.lines(run)
            let signal = try #require(lines.firstIndex { $0.hasPrefix("signal.received") })
            let timer = try #require(lines.firstIndex(of: "timer.fired sleep"))
            #expect(signal < timer)
        }
    }
}
