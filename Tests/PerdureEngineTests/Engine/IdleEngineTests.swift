import Foundation
import Perdure
import PerdureEngine
import PerdureStore
import Testing

/// An engine that has the store but does not run.
@Suite(.timeLimit(.minutes(5))) struct IdleEngineTests {
    private static let waiting = Flow { _, context in try await context.signal(Poke.self) }

    @Test func runsAndMessagesAreAcceptedAndTakenOnWhenItRuns() async throws {
        try await withEngines { harness in
            let process = try await harness.make { Self.waiting }
            let run = try await harness.start(key: "k")
            #expect(try await harness.start(key: "k").id == run.id)
            #expect(try await harness.record(run.id).state == .ready)
            try await run.signal(Poke.self, "early", by: EngineHarness.bob)
            #expect(try await harness.lines(run.id) == ["run.started"])
            process.start(harness.pulse)
            #expect(try await run.result() == "early")
        }
    }

    @Test func whatTheStoreRefusesIsToldAtOnce() async throws {
        try await withEngines { harness in
            _ = try await harness.make { Self.waiting }
            let fates: [(StoreFate, PerdureError.Code, mayHaveHappened: Bool)] = [
                (.fail(.unavailable("the disk is full")), .storeUnavailable, false),
                (.applyAndFail(.outcomeUnknown("the link was lost")), .storeUnavailable, true),
                (.refuse(.conflict), .storeUnavailable, false), (.refuse(.invalid("it has a NUL")), .usage, false),
            ]
            for (fate, code, mayHaveHappened) in fates {
                harness.script.set { call in if case .commit = call { fate } else { .apply } }
                let error = await #expect(throws: PerdureError.self) { try await harness.start() }
                #expect(error?.code == code && error?.mayHaveHappened == mayHaveHappened, "\(fate)")
            }
            harness.script.set(nil)
            try await harness.close()
        }
    }

    @Test func closedItLetsGoOfTheFileAndItsRunsGoOnInTheNext() async throws {
        try await withEngines { harness in
            let first = try await harness.make { Self.waiting }.engine
            let run = try await harness.start()
            let result = Task { try await run.result() }
            try await harness.close()
            let stopped = await #expect(throws: PerdureError.self) { try await result.value }
            #expect(stopped?.code == .engineStopped)
            let late = await #expect(throws: PerdureError.self) {
                try await first.start(Flow.self, input: "x", by: EngineHarness.ada)
            }
            #expect(late?.code == .engineStopped)
            await #expect(throws: PerdureError.self) { try await first.run() }
            try await harness.open { Self.waiting }
            try await harness.engine.client.signal(run.id, Poke.self, "late", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "late")
        }
    }

    @Test func closingOneThatRunsDoesNothing() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start()
            try await harness.until { harness.logs.lines.contains("engine starts") }
            await (try harness.engine).close()
            try await run.signal(Poke.self, "still here", by: EngineHarness.bob)
            #expect(try await run.result() == "still here")
        }
    }

    @Test func valuesOutsideOfTheirRangesAreMovedToItsEnd() async throws {
        try await withEngines { harness in
            try await harness.open(configure: {
                $0.threads = 0
                $0.activeRuns = -1
                $0.cachedRuns = -1
                $0.payloadLimit = 0
                $0.poisonLimit = 0
                $0.shutdownGrace = .seconds(-1)
                $0.watchdogLimit = .seconds(-1)
            }) {
                Flow { _, _ in "" }
            }
            let configuration = try harness.engine.configuration
            #expect(configuration.threads == 1 && configuration.activeRuns == 1 && configuration.cachedRuns == 0)
            #expect(configuration.payloadLimit == 1 && configuration.poisonLimit == 1)
            #expect(configuration.shutdownGrace == .zero && configuration.watchdogLimit == .zero)
        }
    }
}
