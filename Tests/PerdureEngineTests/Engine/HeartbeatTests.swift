import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Long steps that say that they are alive, and how far they have come.
@Suite(.timeLimit(.minutes(5))) struct HeartbeatTests {
    /// Does four parts, and goes on behind the last one that an attempt before has told of.
    private func upload(_ effects: Effects, at place: @escaping @Sendable (Int, StepContext) async throws -> Void) -> Flow {
        Flow { input, context in
            try await context.step(
                "upload", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
            ) { text, step in
                for part in (try step.lastHeartbeat(as: Int.self) ?? 0)..<4 {
                    effects.add("part \(part)")
                    try step.heartbeat(part + 1)
                    try await place(part, step)
                }
                return text
            }
        }
    }

    private func details(_ run: RunID, _ harness: EngineHarness) async throws -> [String] {
        let observer = try await harness.observer(), number = try await observer.record(run).number
        return try await observer.store.heartbeats(of: number, nil).map { String(decoding: $0.details ?? [], as: UTF8.self) }
    }

    @Test func `a long step goes on after a crash where its last attempt was`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let flow = upload(effects) { part, step in if part == 1, step.fencingToken.epoch == 1 { try await gate.pass() } }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            // The first one is written at once, the next one when a second has passed.
            try await harness.until { try await details(run.id, harness) == ["1"] }
            try await harness.untilPausing(for: .seconds(1))
            harness.clock.advance(by: .seconds(1))
            try await harness.until { try await details(run.id, harness) == ["2"] }
            try await harness.crash()
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "x")
            #expect(effects.all == ["part 0", "part 1", "part 2", "part 3"])
            #expect(try await details(run.id, harness) == [])
        }
    }

    @Test func `an attempt that fails leaves what it said last to the next one`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                upload(effects) { part, step in if part == 2, step.attempt == 1 { throw Hiccup() } }
            }
            let run = try await harness.start()
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(try await run.result() == "x")
            #expect(effects.all == ["part 0", "part 1", "part 2", "part 3"])
        }
    }

    @Test(arguments: ["read", "idempotent", "at_most_once"])
    func `an attempt that is silent for too long is cancelled like one whose time is up`(_ effect: String) async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            var policy = StepPolicy.plain()
            policy.heartbeatTimeout = .seconds(30)
            try await harness.open { [policy] in
                Flow { input, context in
                    let body: @concurrent @Sendable (String, StepContext) async throws -> String = { text, step in
                        if step.attempt == 1 { try await gate.pass() }
                        return text
                    }
                    return switch effect {
                    case "read": try await context.read("look", input: input, policy: policy, body)
                    case "idempotent":
                        try await context.step(
                            "look", input: input, .idempotent(retention: .forever), policy: policy, irreversible: "x", body)
                    default:
                        try await context.step(
                            "look", input: input, .atMostOnce(inDoubt: .askPerson), policy: policy, irreversible: "x", body)
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            harness.clock.advance(by: .seconds(30))
            if effect == "at_most_once" {
                try await harness.until(run.id, has: "step.in_doubt look")
                #expect(try await harness.attributes(.stepInDoubt, of: run.id)["reason"] == "no_answer")
                return
            }
            try await harness.until(run.id, has: "step.attempt_failed look")
            let attributes = try await harness.attributes(.stepAttemptFailed, of: run.id)
            #expect(attributes["definite"]?.boolValue == (effect == "read"))
            #expect(attributes["message"]?.stringValue == "no heartbeat for more than 30.0 seconds")
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(try await run.result() == "x")
        }
    }

    @Test func `an attempt that gives signs of life is not taken for silent`() async throws {
        try await withEngines { harness in
            let first = harness.gate(), second = harness.gate()
            var policy = StepPolicy.plain()
            policy.heartbeatTimeout = .seconds(30)
            try await harness.open { [policy] in
                Flow { input, context in
                    async let poked = context.signal(Poke.self)
                    let made = try await context.read("look", input: input, policy: policy) { text, step in
                        try await first.pass()
                        try step.heartbeat()
                        try await second.pass()
                        return "\(text) at attempt \(step.attempt)"
                    }
                    return try await made + poked
                }
            }
            let run = try await harness.start()
            try await harness.until { first.arrivals == 1 }
            harness.clock.advance(by: .seconds(20))
            first.open()
            try await harness.until { second.arrivals == 1 }
            harness.clock.advance(by: .seconds(20))
            // The run looks at its bodies whenever it takes something in.
            try await run.signal(Poke.self, "!", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            second.open()
            #expect(try await run.result() == "x at attempt 1!")
        }
    }

    @Test func `a body hears at its next heartbeat that its step is no longer wanted`() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    try await context.step(
                        "work", input: input, .idempotent(retention: .forever), policy: .plain(), irreversible: "x"
                    ) { text, step in
                        await gate.hang()
                        while true {
                            do {
                                try step.heartbeat("again")
                            } catch is CancellationError {
                                effects.add("told")
                                return text
                            }
                            await Task.yield()
                        }
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            gate.open()
            try await run.cancel(by: EngineHarness.bob)
            try await harness.until(run.id, is: .cancelled)
            #expect(effects.all == ["told"])
            // It happened all the same.
            #expect(try await harness.count("step.succeeded work", in: run.id) == 1)
        }
    }

    @Test func `a body that computes without ever waiting hears of a cancellation`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    // Alone, so that it begins on an engine thread.
                    try await context.read("look", input: input) { text, _ in
                        effects.add("begun")
                        while !Task.isCancelled {}
                        return text
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { effects.count("begun") == 1 }
            try await run.cancel(by: EngineHarness.bob)
            try await harness.until(run.id, is: .cancelled)
        }
    }

    @Test func `details above the payload limit are an error at the call`() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.payloadLimit = 64 }) {
                Flow { input, context in
                    try await context.read("look", input: input) { _, step in
                        do {
                            try step.heartbeat(String(repeating: "x", count: 100))
                        } catch let error as PerdureError {
                            return error.code.rawValue
                        }
                        return "no error"
                    }
                }
            }
            let run = try await harness.start()
            #expect(try await run.result() == "payload_too_large")
        }
    }

    @Test func `a probe is given what its attempt said, and an undo what the undo said before`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    let probe: InDoubt<String, String> = .probe { _, step in
                        .happened("found at \(try step.lastHeartbeat(as: Int.self) ?? -1)")
                    }
                    let found = try await context.step(
                        "send", input: input, .atMostOnce(inDoubt: probe), policy: .plain()
                    ) { _, step in
                        try step.heartbeat(7)
                        throw Hiccup()
                    } undo: { output, step in
                        effects.add("\(output), undo after \(try step.lastHeartbeat(as: String.self) ?? "nothing")")
                        try step.heartbeat("half")
                        if step.attempt == 1 { throw Hiccup() }
                    }
                    throw Rejected(found)
                }
            }
            let run = try await harness.start()
            try await harness.advance(by: .seconds(1), whileWaiting: run.id) { try await harness.record(run.id).state.isFinal }
            #expect(effects.all == ["found at 7, undo after nothing", "found at 7, undo after half"])
            #expect(try await harness.count("undo.succeeded send", in: run.id) == 1)
        }
    }

    @Test func `a run is explained by the last signs of life of its steps, and keeps none when it is closed`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open { upload(harness.effects) { _, _ in await gate.hang() } }
            let run = try await harness.start()
            try await harness.until { try await details(run.id, harness) == ["1"] }
            let (_, explanation) = try await harness.observer().explain(run.id, now: harness.clock.now())
            #expect(
                explanation.sentences.contains {
                    $0.hasPrefix("Step 'upload' gave its last sign of life at ") && $0.hasSuffix(": 1.")
                })
            try await harness.engine.client.terminate(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .terminated)
            #expect(try await details(run.id, harness) == [])
        }
    }

    @Test func `a long step ends alike wherever the crash is`() async throws {
        try await CrashSweep { harness in
            [RegisteredWorkflow(upload(harness.effects) { part, step in if part == 2, step.attempt == 1 { throw Hiccup() } })]
        } drive: { harness, run in
            if try await harness.record(run).state == .waiting { harness.clock.advance(by: .seconds(1)) }
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "x", "crash at commit \(number)")
            for part in 0..<4 { #expect(harness.effects.count("part \(part)") >= 1, "crash at commit \(number)") }
            #expect(try await details(run, harness) == [], "crash at commit \(number)")
        }.run()
    }
}
