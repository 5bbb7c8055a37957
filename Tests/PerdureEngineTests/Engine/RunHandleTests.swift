import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Synchronization
import Testing

/// What a program can do with the run that it has started or found.
@Suite(.timeLimit(.minutes(5))) struct RunHandleTests {
    private static let waiting = Flow { _, context in try await context.signal(Poke.self) }

    @Test func theErrorThatAWorkflowThrewCanBeReadFromTheResult() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, _ in throw Hiccup(isDefinite: true) } }
            let error = await #expect(throws: PerdureError.self) { try await harness.start().result() }
            #expect(error?.code == .runFailed && error?.failure?.code == StepFailure.workflowFailed)
            #expect(error?.failure?.decoded(as: Hiccup.self) == Hiccup(isDefinite: true))
            #expect(error?.failure?.typeName == "Hiccup")
        }
    }

    @Test func theErrorThatAStepThrewCanBeReadFromTheResult() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.read("ask", input: input) { _, _ in throw Rejected("no") }
                }
            }
            let error = await #expect(throws: PerdureError.self) { try await harness.start().result() }
            #expect(error?.failure?.code == StepFailure.stepFailed)
            #expect(error?.failure?.decoded(as: Rejected.self)?.reason == "no")
        }
    }

    @Test func `who waits for a run that closes just then, and cannot be read again, is told`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let looked = harness.gate(), looks = Mutex(0)
            harness.script.set { call in
                guard case .run = call else { return .apply }
                let look = looks.withLock { looks in
                    looks += 1
                    return looks
                }
                return look == 1 ? .applyThen { await looked.hang() } : .fail(.unavailable("the disk is away"))
            }
            let result = Task { try await run.result() }
            try await harness.until { looked.arrivals == 1 }
            try await harness.observer().signal(run.id, Poke.self, "x", by: EngineHarness.bob)
            try await harness.until(run.id, is: .completed)
            looked.open()
            let error = await #expect(throws: PerdureError.self) { try await result.value }
            #expect(error?.code == .storeUnavailable)
            harness.script.set(nil)
            #expect(try await run.result() == "x")
        }
    }

    @Test func aHandleSaysWhetherTheStartHasCreatedTheRun() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            #expect(try await harness.start(key: "k").isNew)
            #expect(try await harness.start(key: "k").isNew == false)
            #expect(try await harness.start().isNew)
        }
    }

    @Test func aHandleSendsSignalsAndShowsItsRun() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.sleep(for: .seconds(60))
                    return try await context.signal(Poke.self) + context.signal(Poke.self)
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let info = try await run.info()
            #expect(info.state == "waiting" && info.wakeAt == (harness.clock.now() + .seconds(60)).date)
            for _ in 0..<2 { try await run.signal(Poke.self, "a", id: "one", by: EngineHarness.bob) }
            try await run.signal(Poke.self, "b", by: EngineHarness.bob)
            harness.clock.advance(by: .seconds(60))
            #expect(try await run.result() == "ab")
        }
    }

    @Test func aHandleCancelsItsRun() async throws {
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start()
            try await run.cancel(by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runCancelled && error?.failure == nil)
        }
    }

    @Test func aRunIsFoundAgainByItsIDAndByItsKey() async throws {
        struct Other: Workflow {
            static let name = "other"
            static let version: WorkflowVersion = "1"
            func run(_ input: Nothing, _ context: WorkflowContext) async throws -> Nothing { input }
        }
        try await withEngines { harness in
            try await harness.open { Self.waiting }
            let run = try await harness.start(key: "k")
            try await harness.crash()
            try await harness.open { Self.waiting }
            let engine = try harness.engine
            let found = try #require(try await engine.find(Flow.self, id: run.id))
            #expect(!found.isNew)
            #expect(try await engine.find(Flow.self, key: "k")?.id == run.id)
            #expect(try await engine.find(Flow.self, key: "other") == nil)
            let unknown = try #require(RunID("0193a5b0-0000-7000-8000-00000000dead"))
            #expect(try await engine.find(Flow.self, id: unknown) == nil)
            let wrong = await #expect(throws: PerdureError.self) { try await engine.find(Other.self, id: run.id) }
            #expect(wrong?.code == .usage)
            try await found.signal(Poke.self, "back", by: EngineHarness.bob)
            #expect(try await found.result() == "back")
        }
    }
}
