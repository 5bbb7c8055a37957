import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

/// What becomes of a run that waits in a queue while it waits: none of its code runs.
@Suite(.timeLimit(.minutes(10))) struct WaitingRunTests {
    private enum Add: Update {
        static let name = "add"
        typealias Payload = Int
        typealias Reply = String
    }

    /// A queue that admits nobody, with an engine that hosts what waits in it.
    private func inClosedQueue(
        _ body: @escaping @Sendable (Engine, QueueBench) async throws -> Void
    ) async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.open(QueueLimits(concurrency: 0))
            try await body(engine, bench)
            #expect(try await engine.client.store.audit() == [])
        }
        #expect(bench.world.complaints.all == [])
    }

    private func open(_ engine: Engine, _ count: Int = 1) async throws {
        try await engine.client.setQueue("q", limits: QueueLimits(concurrency: count), by: World.ada)
    }

    // MARK: Ends

    @Test func `a cancelled run ends in its queue, without a place`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x")
            try await engine.client.signal(run, Poke.self, "early", by: World.ada)
            async let reply = engine.client.update(run, Add.self, 1, by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(try await engine.state(of: run) == "queued")
            try await engine.client.cancel(run, by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
            #expect(error?.code == .runCancelled)
            do {
                _ = try await reply
                Issue.record("the update was answered")
            } catch let error as PerdureError {
                #expect(error.code == .runClosed || error.code == .updateRejected)
            }
            #expect(
                try await bench.world.lines(engine, run) == [
                    "run.started", "signal.undelivered poke", "update.rejected \(try await updateID(engine, run))",
                    "run.cancel_requested", "run.cancelled",
                ])
            #expect(bench.begun == [])
            #expect(try await engine.client.queues().first?.waiting == 0)
        }
    }

    private func updateID(_ engine: Engine, _ run: RunID) async throws -> String {
        try await engine.client.history(of: run).first { $0.kind == .updateRejected }?.subject ?? ""
    }

    @Test func `a run whose deadline passes in its queue fails there`() async throws {
        try await inClosedQueue { engine, bench in
            let begin = bench.simulation.now
            let late = try await engine.enqueue("x", deadline: .hours(1)),
                other = try await engine.enqueue("y", deadline: .hours(3))
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: late) }
            #expect(error?.code == .runFailed && error?.failure?.code == StepFailure.deadlinePassed)
            #expect(bench.simulation.now.duration(since: begin) < .hours(1) + .seconds(2))
            #expect(
                try await bench.world.lines(engine, late) == ["run.started", "run.cancel_requested", "run.failed"])
            #expect(try await engine.state(of: other) == "queued")
            // The time that it has waited counts.
            try await self.open(engine)
            #expect(try await engine.result(of: other) == Data(#""y""#.utf8))
        }
    }

    @Test func `a terminated run ends in its queue`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x")
            try await engine.client.terminate(run, by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
            #expect(error?.code == .runTerminated)
            #expect(bench.begun == [])
        }
    }

    @Test func `a cancellation is found behind more messages than are read at once`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x")
            for number in 0..<1_100 { try await engine.client.signal(run, Poke.self, "\(number)", by: World.ada) }
            try await engine.client.cancel(run, by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
            #expect(error?.code == .runCancelled)
            let lines = try await bench.world.lines(engine, run)
            #expect(lines.count == 1_103 && lines.suffix(2) == ["run.cancel_requested", "run.cancelled"])
        }
    }

    @Test func `whole lines are cancelled in no time`() async throws {
        try await inClosedQueue { engine, bench in
            var runs: [RunID] = []
            for number in 0..<300 { runs.append(try await engine.enqueue("\(number)", key: "\(number % 7)")) }
            let begin = bench.simulation.now
            let line = try await engine.client.runs(for: .cancel, in: RunSelection(states: ["queued"]))
            #expect(line.count == 300)
            let results = try await engine.client.intervene(.cancel, in: line, by: World.ada)
            #expect(results.allSatisfy { $0.error == nil })
            for run in runs {
                let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
                #expect(error?.code == .runCancelled)
            }
            #expect(bench.simulation.now.duration(since: begin) < .seconds(1))
            #expect(try await engine.client.queues().first?.waitingKeys == 0)
        }
    }

    // MARK: What waits for its turn

    @Test func `what was sent to a run before its turn reaches its code`() async throws {
        let bench = QueueBench()
        try await bench.simulation.run {
            let engine = try await bench.world.open(bench.simulation.process("one")) {
                Flow { _, context in
                    let text = try await context.signal(Poke.self)
                    try await context.update(Add.self) { "\($0 + 1)" }
                    return text
                }
            }
            try await engine.client.setQueue("q", limits: QueueLimits(concurrency: 0), by: World.ada)
            let run = try await engine.enqueue("x")
            try await engine.client.signal(run, Poke.self, "early", by: World.ada)
            async let reply = engine.client.update(run, Add.self, 1, by: World.ada)
            try await bench.simulation.sleep(for: .hours(1))
            #expect(try await bench.world.lines(engine, run) == ["run.started"])
            try await open(engine)
            let answer = try await reply
            #expect(answer == "2")
            #expect(try await engine.result(of: run) == Data(#""early""#.utf8))
        }
    }

    @Test func `a paused run leaves the line, and comes back to its old place`() async throws {
        try await inClosedQueue { engine, bench in
            var runs: [RunID] = []
            for number in 0..<3 { runs.append(try await engine.enqueue("\(number)")) }
            try await engine.client.pause(runs[0], by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(try await engine.state(of: runs[0]) == "paused")
            #expect(try await engine.client.queues().first?.waiting == 2)
            let (_, explanation) = try await engine.client.explain(runs[0], now: bench.simulation.now)
            #expect(explanation.sentences.contains { $0.contains("is kept, but it does not stand in it now") })
            try await engine.client.unpause(runs[0], by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            #expect(try await engine.state(of: runs[0]) == "queued")
            try await self.open(engine)
            for run in runs { _ = try await engine.result(of: run) }
            #expect(bench.begun == ["0", "1", "2"])
        }
    }

    @Test func `a run that is paused before its turn is not cancelled until it goes on`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x", deadline: .hours(2))
            try await engine.client.pause(run, by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            try await engine.client.cancel(run, by: World.ada)
            try await bench.simulation.sleep(for: .hours(1))
            #expect(try await engine.state(of: run) == "paused")
            try await engine.client.unpause(run, by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
            #expect(error?.code == .runCancelled)
        }
    }

    @Test func `a deadline that passes in a pause counts when the run goes on`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x", deadline: .hours(1))
            try await engine.client.pause(run, by: World.ada)
            try await bench.simulation.sleep(for: .hours(2))
            #expect(try await engine.state(of: run) == "paused")
            try await engine.client.unpause(run, by: World.ada)
            let error = await #expect(throws: PerdureError.self) { try await engine.result(of: run) }
            #expect(error?.failure?.code == StepFailure.deadlinePassed)
            #expect(
                try await bench.world.lines(engine, run) == [
                    "run.started", "run.paused", "run.unpaused", "run.cancel_requested", "run.failed",
                ])
        }
    }

    @Test func `a run is moved to another version in its queue, and waits on`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x")
            try await engine.client.repin(run, to: "2", by: World.ada)
            try await bench.simulation.sleep(for: .seconds(1))
            let info = try await engine.client.run(run)
            #expect(info.version == "2" && info.state == "queued")
            try await engine.client.repin(run, to: "1", by: World.ada)
            try await self.open(engine)
            #expect(try await engine.result(of: run) == Data(#""x""#.utf8))
        }
    }

    @Test func `a retry, a reset and a resolve have nothing to say of a run before its turn`() async throws {
        try await inClosedQueue { engine, bench in
            let run = try await engine.enqueue("x")
            try await engine.client.retry(run, by: World.ada)
            await #expect(throws: PerdureError.self) { try await engine.client.reset(run, to: 1, by: World.ada) }
            await #expect(throws: PerdureError.self) {
                try await engine.client.resolve(run, step: "begin", .happened(result: nil), by: World.ada)
            }
            try await bench.simulation.sleep(for: .seconds(1))
            let state = try await engine.state(of: run)
            #expect(state == "queued" && bench.begun == [])
            try await self.open(engine)
            #expect(try await engine.result(of: run) == Data(#""x""#.utf8))
        }
    }
}
