import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// One intervention for many runs.
@Suite(.timeLimit(.minutes(5))) struct BulkTests {
    private static let flow = Flow { input, context in
        if input == "stuck" {
            return try await context.step(
                "call", input: input, .idempotent(retention: .forever), policy: .plain(attempts: 1), irreversible: "x"
            ) { _, step -> String in
                if step.attempt == 1 { throw Hiccup(isDefinite: true) }
                return "at last"
            }
        }
        return try await context.signal(Poke.self)
    }

    // Promise: 24, 25
    @Test func `many runs are selected, shown, and then acted on, each with its author`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow }
            let engine = try harness.engine, client = engine.client
            var runs: [RunID] = []
            for index in 0..<4 {
                let labels = ["group": index < 3 ? "a" : "b"]
                runs.append(try await engine.start(Flow.self, input: "x", labels: labels, by: EngineHarness.ada).id)
                try await harness.until(runs[index], is: .waiting)
                harness.clock.advance(by: .seconds(60))
            }
            let cutoff = try await client.run(runs[2]).createdAt
            let old = RunSelection(workflow: "flow", labels: ["group": "a"], startedBefore: cutoff)
            #expect(try await client.runs(for: .pause(reason: nil), in: old).map(\.id) == [runs[1], runs[0]])
            #expect(try await harness.lines(runs[0]) == ["run.started"], "looking changes nothing")
            let selected = try await client.runs(for: .pause(reason: "audit"), in: RunSelection(labels: ["group": "a"]))
            let results = try await client.intervene(.pause(reason: "audit"), in: selected, by: EngineHarness.bob)
            #expect(results.map(\.run.id) == [runs[2], runs[1], runs[0]] && results.allSatisfy { $0.error == nil })
            for run in runs.prefix(3) {
                try await harness.until(run, is: .paused)
                #expect(try await harness.attributes(.runPaused, of: run)["by"]?["id"] == "bob")
            }
            #expect(try await client.runs(for: .pause(reason: nil), in: RunSelection(workflow: "flow")).map(\.id) == [runs[3]])
            let paused = try await client.runs(for: .unpause, in: RunSelection(version: "1"))
            try await client.terminate(runs[0], by: EngineHarness.bob)
            try await harness.until(runs[0], is: .terminated)
            let resumed = try await client.intervene(.unpause, in: paused, by: EngineHarness.bob)
            #expect(resumed.map { $0.error?.code } == [nil, nil, .runClosed], "one that refuses stops no other")
            for run in runs[1...2] { try await harness.until(run, is: .waiting) }
            let open = try await client.runs(for: .cancel, in: RunSelection(states: ["waiting"]))
            #expect(open.count == 3)
            _ = try await client.intervene(.cancel, in: open, by: EngineHarness.bob)
            for run in runs[1...3] { try await harness.until(run, is: .cancelled) }
        }
    }

    @Test func `everything that can be tried again is, and what cannot says so`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow }
            let stuck = try await harness.start("stuck"), other = try await harness.start("stuck")
            for run in [stuck, other] { try await harness.until(run.id, is: .parked) }
            let client = try harness.engine.client
            let runs = try await client.runs(for: .retry, in: RunSelection(workflow: "flow"))
            #expect(runs.count == 2)
            try await client.retry(other.id, step: "call", by: EngineHarness.bob)
            #expect(try await harness.result(other.id) == "at last")
            let results = try await client.intervene(.retry, in: runs, by: EngineHarness.bob)
            #expect(results.map { $0.error?.code } == [.stepNotStuck, nil])
            #expect(try await harness.result(stuck.id) == "at last")
        }
    }

    @Test func `a run whose history cannot be read stops no other`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow }
            let unread = try await harness.start("stuck"), other = try await harness.start("stuck")
            for run in [unread, other] { try await harness.until(run.id, is: .parked) }
            let number = try await harness.record(unread.id).number
            try await harness.stop()
            try Tampering.change(harness.path, "UPDATE events SET kind = 'step.dreamt' WHERE seq = 2 AND run = \(number)")
            let client = try await harness.observer()
            let runs = try await client.runs(for: .retry, in: RunSelection(workflow: "flow"))
            let results = try await client.intervene(.retry, in: runs, by: EngineHarness.bob)
            #expect(results.map(\.run.id) == [other.id, unread.id])
            #expect(results.map { $0.error?.code } == [nil, .storeTooNew])
            try Tampering.change(harness.path, "UPDATE events SET kind = 'step.attempt_failed' WHERE kind = 'step.dreamt'")
        }
    }

    @Test func `runs are pinned to another version together, but for those that are on it`() async throws {
        try await withEngines { harness in
            try await harness.open {
                Self.flow
                NewerFlow { input, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let newer = try await harness.engine.start(NewerFlow.self, input: "x", by: EngineHarness.ada)
            for id in [run.id, newer.id] { try await harness.until(id, is: .waiting) }
            let client = try harness.engine.client
            let runs = try await client.runs(for: .repin(to: "2"), in: RunSelection(workflow: "flow"))
            #expect(runs.map(\.id) == [run.id])
            _ = try await client.intervene(.repin(to: "2"), in: runs, by: EngineHarness.bob)
            try await harness.until(run.id, has: "run.repinned")
            try await client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "s")
        }
    }

    @Test func `a state in which it makes no sense, or that does not exist, is refused`() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow }
            for state in ["completed", "asleep"] {
                let error = await #expect(throws: PerdureError.self) {
                    try await harness.engine.client.runs(for: .cancel, in: RunSelection(states: [state]))
                }
                #expect(error?.code == .usage)
            }
        }
    }
}
