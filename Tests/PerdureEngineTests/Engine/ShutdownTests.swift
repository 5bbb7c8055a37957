import Foundation
import Logging
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5))) struct ShutdownTests {
    @Test func aGracefulShutdownLetsRunningStepsEnd() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                try await context.step("slow", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { text, _ in
                    await gate.hang()
                    effects.add("slow")
                    return text
                }
                try await context.sleep(for: .seconds(60))
                return "done"
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try harness.beginStop()
            gate.open()
            let failure = try await harness.untilEnded()
            #expect(failure == nil)
            #expect(try await harness.record(run.id).state == .waiting)
            #expect(try await harness.count("step.succeeded slow", in: run.id) == 1)
            try await harness.open { flow }
            harness.clock.advance(by: .seconds(60))
            #expect(try await harness.result(run.id) == "done")
            #expect(effects.all == ["slow"])
        }
    }

    @Test func `what the code asks for while the engine ends is left to the next process`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                for name in ["one", "two"] {
                    try await context.act(name, input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") { _, _ in
                        if effects.count(name) == 0, name == "one" { await gate.hang() }
                        effects.add(name)
                    }
                }
                return "done"
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try harness.beginStop()
            try await harness.until { harness.logs.lines.contains("engine drains") }
            gate.open()
            let failure = try await harness.untilEnded()
            #expect(failure == nil)
            #expect(effects.all == ["one"])
            #expect(try await harness.record(run.id).state == .ready)
            #expect(try await harness.lines(run.id).last == "step.succeeded one")
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "done")
            #expect(effects.all == ["one", "two"])
            #expect(try await harness.count("step.in_doubt two", in: run.id) == 0)
        }
    }

    @Test func `an engine ends although a run that it takes over waits for a store that takes nothing`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = Flow { input, context in
                try await context.read("slow", input: input) { text, _ in
                    try await gate.pass()
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            for death in 1...2 {
                try await harness.until { gate.arrivals == death }
                try await harness.crash()
                // Who has died twice with it is watched: that is recorded before it is brought in.
                if death == 2 {
                    harness.script.set { call in
                        if case .commit = call { .fail(.unavailable("the disk is full")) } else { .apply }
                    }
                }
                try await harness.open { flow }
            }
            try await harness.until { harness.logs.lines.contains { $0.contains("cannot commit") } }
            try harness.beginStop()
            try await harness.advanceUntilEnded(by: .seconds(31))
            harness.script.set(nil)
            gate.open()
            try await harness.open { flow }
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(try await harness.result(run.id) == "x")
        }
    }

    // Promise: 13
    @Test func aStepThatHangsBeyondTheGraceIsHandedOverWithItsIntent() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                try await context.step("slow", input: input, .idempotent(retention: .forever), irreversible: "x") { text, step in
                    effects.add("slow", key: step.idempotencyKey)
                    if effects.count("slow") == 1 { await gate.hang() }
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.stop(after: .seconds(31))
            #expect(try await harness.record(run.id).state == .ready)
            #expect(try await harness.lines(run.id) == ["run.started", "step.intended slow"])
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "x")
            #expect(effects.count("slow") == 2)
            #expect(effects.distinct("slow") == 1)
        }
    }

    @Test func `a body that blocks the engine thread it began on does not keep the engine from ending`() async throws {
        try await withEngines { harness in
            let held = DispatchSemaphore(value: 0), effects = harness.effects
            defer { held.signal() }
            let flow = Flow { input, context in
                try await context.step("slow", input: input, .idempotent(retention: .forever), irreversible: "x") { text, step in
                    effects.add("slow", key: step.idempotencyKey)
                    if effects.count("slow") == 1 { blockThread(held) { effects.add($0) } }
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start().id
            try await harness.until { effects.all.count == 2 }
            #expect(effects.all.last?.hasPrefix("on perdure-") == true)
            try await harness.stop(after: .seconds(31))
            #expect(try await harness.record(run).state == .ready)
            try await harness.open { flow }
            #expect(try await harness.result(run) == "x")
            #expect(effects.count("slow") == 2 && effects.distinct("slow") == 1)
        }
    }

    @Test func aStepThatEndsAtTheEndOfTheGraceIsRecordedAndNotInDoubt() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), first = harness.gate(), effects = harness.effects
            let flow = Flow { input, context in
                async let other = context.step("other", input: input, .idempotent(retention: .forever), irreversible: "x") {
                    text, _ in
                    await first.hang()
                    return text
                }
                let mine = try await context.step("mine", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") {
                    text, _ in
                    await gate.hang()
                    effects.add("mine")
                    return text
                }
                return try await mine + other
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 && first.arrivals == 1 }
            // The outcome of the first step is being committed when the grace ends and the second one returns.
            let commit = harness.gate()
            harness.script.set { call in
                if case .commit = call { await commit.hang() }
                return .apply
            }
            first.open()
            try await harness.until { commit.arrivals == 1 }
            try harness.beginStop()
            try await harness.until { harness.logs.lines.contains("engine drains") }
            harness.clock.advance(by: .seconds(31))
            gate.open()
            try await harness.untilBodyHasEnded(of: run.id)
            harness.script.set(nil)
            commit.open()
            try await harness.advanceUntilEnded(by: .seconds(31))
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "xx")
            #expect(try await harness.count("step.in_doubt mine", in: run.id) == 0)
            #expect(effects.all == ["mine"])
        }
    }

    @Test func shutdownEndsAlthoughTheStoreTakesNothingAnyMore() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let flow = Flow { input, context in
                try await context.read("slow", input: input) { text, _ in
                    await gate.hang()
                    return text
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            harness.script.set { call in
                if case .commit = call { .fail(.unavailable("the disk is full")) } else { .apply }
            }
            gate.open()
            try await harness.until { harness.logs.lines.contains { $0.contains("cannot commit") } }
            try harness.beginStop()
            try await harness.advanceUntilEnded(by: .seconds(31))
            harness.script.set(nil)
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "x")
        }
    }

    @Test func whoWaitsForAResultIsToldThatTheEngineStopped() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, context in try await context.signal(Poke.self) } }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            let result = Task { try await run.result() }
            try await harness.stop()
            let error = await #expect(throws: PerdureError.self) { try await result.value }
            #expect(error?.code == .engineStopped)
        }
    }

    @Test func aCancelledWaitForAResultEndsAndTheRunGoesOn() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, context in try await context.signal(Poke.self) } }
            let run = try await harness.start()
            let waiting = Task { try await run.result() }
            try await harness.until(run.id, is: .waiting)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await harness.engine.client.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            #expect(try await run.result() == "go")
        }
    }

    @Test func afterTheEndNothingIsAcceptedAnyMore() async throws {
        try await withEngines { harness in
            let engine = try await harness.open { Flow { input, _ in input } }
            try await harness.stop()
            let error = await #expect(throws: PerdureError.self) {
                try await engine.start(Flow.self, input: "x", by: EngineHarness.ada)
            }
            #expect(error?.code == .engineStopped)
        }
    }

    @Test func `a run that is being started when the engine shuts down is left to the next one`() async throws {
        try await withEngines { harness in
            let commit = harness.gate()
            try await harness.open { Flow { input, _ in input } }
            // From then on what is started here is owned by this engine.
            try await harness.until { harness.logs.lines.contains("engine starts") }
            harness.script.set { call in
                if case .commit = call { await commit.hang() }
                return .apply
            }
            let engine = try harness.engine
            let starting = Task { try await engine.start(Flow.self, input: "x", by: EngineHarness.ada) }
            try await harness.until { commit.arrivals == 1 }
            try harness.beginStop()
            try await harness.until { harness.logs.lines.contains("engine drains") }
            commit.open()
            let failure = try await harness.untilEnded()
            #expect(failure == nil)
            let run = try await starting.value
            #expect(try await harness.record(run.id).state == .ready)
        }
    }

    @Test func `what a stopped engine was asked to accept is not said to be refused`() async throws {
        try await withEngines { harness in
            let engine = try await harness.open { Flow { input, _ in input } }
            try await harness.stop()
            let error = await #expect(throws: PerdureError.self) {
                try await engine.start(Flow.self, input: "x", by: EngineHarness.ada)
            }
            #expect(error?.message.contains("not known") == true)
        }
    }

    @Test func `an engine that was dropped without a word leaves its file to the next one`() async throws {
        try await withEngines { harness in
            for number in 0..<2 {
                var isStarted = false
                // What it has under way on threads of its own ends first.
                while !isStarted {
                    do {
                        let engine = try await Engine(store: .sqlite(harness.path)) { Flow { input, _ in input } }
                        _ = try await engine.start(Flow.self, input: "\(number)", by: EngineHarness.ada)
                        isStarted = true
                    } catch let error as PerdureError where error.code == .storeLocked {
                        await Task.yield()
                    }
                }
            }
        }
    }

    @Test func `the end of retrying wakes a pause`() async throws {
        try await withEngines { harness in
            let base = try await StoreConfiguration.sqlite(harness.path, clock: { harness.clock.now() }).open(.engine)
            let store = WatchedStore(base, pulse: harness.pulse, script: harness.script)
            harness.script.set { call in
                if case .commit = call { .fail(.unavailable("disk full")) } else { .apply }
            }
            let pauses = Mutex(0), pulse = harness.pulse
            // Time never passes.
            let journal = Journal(store: store, logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }) { _, _ in
                pauses.withLock { $0 += 1 }
                pulse.ring()
            }
            let running = Task { try await journal.run() }
            let answer = Task { await journal.submit(SampleRun().creation) }
            try await pulse.until { pauses.withLock { $0 } == 1 }
            journal.stopRetrying()
            await #expect(throws: StoreError.self) { try await running.value }
            let result = await answer.value
            #expect(result == nil)
            await store.close()
        }
    }
}

/// As code does that knows nothing of tasks. Says where before.
private func blockThread(_ semaphore: DispatchSemaphore, _ say: (String) -> Void) {
    say("on \(Thread.current.name ?? "")")
    semaphore.wait()
}
