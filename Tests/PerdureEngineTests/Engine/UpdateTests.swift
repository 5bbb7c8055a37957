import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

private enum SetLimit: Update {
    static let name = "set-limit"
    typealias Payload = Int
    typealias Reply = String
}

/// Messages that a run answers.
@Suite(.timeLimit(.minutes(5))) struct UpdateTests {
    private struct TooLarge: Error, CustomStringConvertible {
        var description: String { "at most 100" }
    }

    /// Answers updates until one sets the limit to 0.
    private static func limits(_ effects: Effects) -> Flow {
        Flow { _, context in
            var limit = 10
            while limit > 0 {
                try await context.update(SetLimit.self) { payload in
                    if payload > 100 { throw TooLarge() }
                } _: { payload in
                    let before = limit
                    let made = try await context.read("check", input: payload) { payload, _ in
                        effects.add("check \(payload)")
                        return payload
                    }
                    limit = made
                    return "from \(before) to \(made)"
                }
            }
            return "done"
        }
    }

    @Test func anUpdateIsHandledByTheRunAndItsReplyComesBack() async throws {
        try await withEngines { harness in
            try await harness.open { Self.limits(harness.effects) }
            let run = try await harness.start()
            #expect(try await run.update(SetLimit.self, 20, by: EngineHarness.bob) == "from 10 to 20")
            #expect(try await run.update(SetLimit.self, 0, by: EngineHarness.bob) == "from 20 to 0")
            #expect(try await run.result() == "done")
        }
    }

    @Test func anUpdateThatIsNotValidIsRejectedAndChangesNothing() async throws {
        try await withEngines { harness in
            try await harness.open { Self.limits(harness.effects) }
            let run = try await harness.start()
            let error = await #expect(throws: PerdureError.self) {
                try await run.update(SetLimit.self, 101, by: EngineHarness.bob)
            }
            #expect(error?.code == .updateRejected && error?.message == "at most 100")
            let client = try harness.engine.client
            let unreadable = await #expect(throws: PerdureError.self) {
                try await client.update(run.id, name: "set-limit", json: Data("\"x\"".utf8), by: EngineHarness.bob)
            }
            #expect(unreadable?.code == .updateRejected)
            #expect(try await run.update(SetLimit.self, 20, by: EngineHarness.bob) == "from 10 to 20")
            #expect(harness.effects.all == ["check 20"])
        }
    }

    @Test func anUpdateSentAgainUnderItsIdGetsTheSameReplyAlsoAfterTheRunHasClosed() async throws {
        try await withEngines { harness in
            try await harness.open { Self.limits(harness.effects) }
            let run = try await harness.start()
            for _ in 1...2 {
                #expect(try await run.update(SetLimit.self, 20, id: "a", by: EngineHarness.bob) == "from 10 to 20")
            }
            _ = try await run.update(SetLimit.self, 0, by: EngineHarness.bob)
            _ = try await run.result()
            #expect(try await run.update(SetLimit.self, 20, id: "a", by: EngineHarness.bob) == "from 10 to 20")
            #expect(try await harness.count("update.received set-limit", in: run.id) == 2)
        }
    }

    @Test func anUpdateIsAnsweredOnceWhateverCrashes() async throws {
        try await withEngines { harness in
            let flow = Self.limits(harness.effects)
            try await harness.open { flow }
            let run = try await harness.start()
            #expect(try await run.update(SetLimit.self, 20, id: "a", by: EngineHarness.bob) == "from 10 to 20")
            try await harness.crash()
            try await harness.open { flow }
            let client = try harness.engine.client
            #expect(try await client.update(run.id, SetLimit.self, 20, id: "a", by: EngineHarness.bob) == "from 10 to 20")
            #expect(try await client.update(run.id, SetLimit.self, 0, id: "b", by: EngineHarness.bob) == "from 20 to 0")
            #expect(harness.effects.all == ["check 20", "check 0"])
        }
    }

    @Test func anUpdateThatNobodyAnswersBeforeTheRunEndsFails() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { _, context in try await context.signal(Poke.self) } }
            let run = try await harness.start()
            async let reply = run.update(SetLimit.self, 20, by: EngineHarness.bob)
            try await harness.until(run.id, has: "update.received set-limit")
            try await run.signal(Poke.self, "go", by: EngineHarness.bob)
            _ = try await run.result()
            do {
                _ = try await reply
                Issue.record("the update was answered")
            } catch let error as PerdureError {
                #expect(error.code == .runClosed)
            }
        }
    }

    @Test func aHandlerThatThrowsTellsTheSenderAndTheCode() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    do {
                        try await context.update(SetLimit.self) { _ in throw TooLarge() }
                        return "handled"
                    } catch {
                        return "caught \(error)"
                    }
                }
            }
            let run = try await harness.start()
            let error = await #expect(throws: PerdureError.self) { try await run.update(SetLimit.self, 1, by: EngineHarness.bob) }
            #expect(error?.code == .updateRejected && error?.message == "at most 100")
            #expect(try await run.result() == "caught at most 100")
        }
    }

    @Test(arguments: [true, false]) func anUpdateWhoseTaskIsCancelledWhileItIsHandledIsAnsweredAllTheSame(isValid: Bool)
        async throws
    {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { _, context in
                    do {
                        _ = try await context.timeout(.seconds(60)) {
                            try await context.update(SetLimit.self) { payload in
                                _ = try await context.uncancelled {
                                    try await context.read("check", input: payload) { payload, _ in
                                        await gate.hang()
                                        return payload
                                    }
                                }
                                if !isValid { throw TooLarge() }
                                return "set"
                            }
                        }
                        return "in time"
                    } catch {
                        return "\((error as? StepFailure)?.code ?? "\(error)")"
                    }
                }
            }
            let run = try await harness.start()
            async let reply = run.update(SetLimit.self, 20, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 1 }
            harness.clock.advance(by: .seconds(60))
            try await harness.until(run.id, has: "timer.fired timeout")
            gate.open()
            do {
                #expect(try await reply == "set" && isValid)
            } catch let error as PerdureError {
                #expect(error.code == .updateRejected && !isValid)
            }
            #expect(try await run.result() == "timed_out")
        }
    }

    @Test func anUpdateThatIsTooLargeIsRefusedBeforeItIsSent() async throws {
        try await withEngines { harness in
            try await harness.open { Self.limits(harness.effects) }
            let run = try await harness.start()
            let json = Data("\"\(String(repeating: "x", count: 8 << 20))\"".utf8), client = try harness.engine.client
            let error = await #expect(throws: PerdureError.self) {
                try await client.update(run.id, name: "set-limit", json: json, by: EngineHarness.bob)
            }
            #expect(error?.code == .payloadTooLarge)
            #expect(try await harness.lines(run.id) == ["run.started"])
        }
    }

    @Test func anUpdateOfARunWhoseHistoryIsBrokenFails() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.verificationRate = 1_000 }) {
                Flow { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            async let reply = run.update(SetLimit.self, 20, by: EngineHarness.bob)
            try await harness.until(run.id, has: "update.received set-limit")
            try await harness.until(run.id, is: .waiting)
            try Tampering.change(harness.path, "UPDATE events SET input = '7' WHERE seq = 2")
            try await harness.advanceUntil(by: .seconds(1)) { try await harness.record(run.id).state == .quarantined }
            do {
                _ = try await reply
                Issue.record("the update was answered")
            } catch let error as PerdureError {
                #expect(error.code == .runQuarantined)
            }
            let late = await #expect(throws: PerdureError.self) { try await run.update(SetLimit.self, 1, by: EngineHarness.bob) }
            #expect(late?.code == .runQuarantined)
        }
    }

    @Test func updatesThatCameEarlyAreHandledInTheirOrder() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    _ = try await context.signal(Poke.self)
                    var all = ""
                    for _ in 1...2 { all += try await context.update(SetLimit.self) { "\($0) " } }
                    return all
                }
            }
            let run = try await harness.start()
            async let first = run.update(SetLimit.self, 1, by: EngineHarness.bob)
            try await harness.until(run.id, has: "update.received set-limit", times: 1)
            async let second = run.update(SetLimit.self, 2, by: EngineHarness.bob)
            try await harness.until(run.id, has: "update.received set-limit", times: 2)
            try await run.signal(Poke.self, "go", by: EngineHarness.bob)
            #expect(try await run.result() == "1 2 ")
            #expect(try await (first, second) == ("1 ", "2 "))
        }
    }
}
