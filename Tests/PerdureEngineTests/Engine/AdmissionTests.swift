import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What becomes of everything else where runs cannot be admitted.
@Suite(.timeLimit(.minutes(5))) struct AdmissionTests {
    @Test func `a store that cannot admit keeps nobody else from going on, and admits when it can`() async throws {
        try await withEngines(inMemory: true) { harness in
            harness.script.set { call in
                if case .admit = call { .fail(.unavailable("no connection is left")) } else { .apply }
            }
            let process = try await harness.make { Flow { input, _ in input } }
            let engine = process.engine
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 1), by: EngineHarness.ada)
            let queued = try await engine.start(Flow.self, input: "queued", queue: QueuePlace("q"), by: EngineHarness.ada)
            // It does not run yet, so that this one has to be claimed.
            let other = try await engine.start(Flow.self, input: "other", by: EngineHarness.ada)
            process.start(harness.pulse)
            #expect(try await harness.result(other.id) == "other")
            try await harness.until {
                harness.logs.lines.contains("runs cannot be admitted from their queues; trying again")
            }
            #expect(try await harness.record(queued.id).state == .queued)
            harness.script.set(nil)
            try await harness.advanceUntil(by: .seconds(1)) { try await harness.record(queued.id).state == .completed }
            #expect(harness.logs.lines.contains("runs can be admitted from their queues again"))
        }
    }
}
