import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct SignalAndQuestionTests {
    @Test func signalsThatCameEarlyAreDeliveredInTheirOrder() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { _, context in
                    try await context.act("wait", input: "", .idempotent(retention: .forever), irreversible: "x") { _, _ in
                        try await gate.pass()
                    }
                    var all = ""
                    for _ in 0..<3 { all += try await context.signal(Poke.self) }
                    return all
                }
            }
            let run = try await harness.start()
            for text in ["a", "b", "c"] { try await harness.engine.client.signal(run.id, Poke.self, text, by: EngineHarness.bob) }
            try await harness.until(run.id, has: "signal.received poke", times: 3)
            gate.open()
            #expect(try await run.result() == "abc")
        }
    }

    @Test func aSignalSentTwiceWithOneIdIsDeliveredOnce() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in try await context.signal(Poke.self) + context.signal(Poke.self) }
            }
            let run = try await harness.start(), client = try harness.engine.client
            try await client.signal(run.id, Poke.self, "a", id: "1", by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            try await client.signal(run.id, Poke.self, "a", id: "1", by: EngineHarness.bob)
            try await client.signal(run.id, Poke.self, "b", id: "2", by: EngineHarness.bob)
            #expect(try await run.result() == "ab")
            #expect(try await harness.count("signal.received poke", in: run.id) == 2)
        }
    }

    @Test func aSignalThatCannotBeReadIsAFailureTheCodeCanCatchAlikeAfterACrash() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in
                var text = ""
                do {
                    text = try await context.signal(Poke.self)
                } catch let failure as StepFailure {
                    text = failure.code
                }
                return try await text + " " + context.signal(Poke.self)
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.engine.client.signal(run.id, name: "poke", json: Data("7".utf8), by: EngineHarness.bob)
            try await harness.until(run.id, has: "signal.received poke")
            try await harness.crash()
            try await harness.open { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "b", by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "undecodable b")
        }
    }

    // Promise: 20
    @Test func aSignalFromAnotherProcessWakesARunThatIsNotInMemory() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.cachedRuns = 0 }) {
                Flow { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.observer().signal(run.id, Poke.self, "hello", by: EngineHarness.bob)
            #expect(try await run.result() == "hello")
        }
    }

    @Test func whatIsSentToAClosedOrUnknownRunIsRefused() async throws {
        try await withEngines { harness in
            try await harness.open { Flow { input, _ in input } }
            let run = try await harness.start(), client = try harness.engine.client
            _ = try await run.result()
            let closed = await #expect(throws: PerdureError.self) {
                try await client.signal(run.id, Poke.self, "a", by: EngineHarness.bob)
            }
            #expect(closed?.code == .runClosed)
            let nobody = RunID(milliseconds: 1, random: (2, 3))
            let unknown = await #expect(throws: PerdureError.self) {
                try await client.signal(nobody, Poke.self, "a", by: EngineHarness.bob)
            }
            #expect(unknown?.code == .runUnknown)
            let look = await #expect(throws: PerdureError.self) { try await client.run(nobody) }
            #expect(look?.code == .runUnknown)
        }
    }

    // Promise: 26
    @Test func whatIsLeftInTheInboxWhenARunClosesIsInItsHistory() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { _, context in
                    try await context.read("wait") {
                        try await gate.pass(); return "done"
                    }
                }
            }
            let run = try await harness.start()
            let commit = harness.gate()
            try await harness.until { gate.arrivals == 1 }
            harness.script.set { call in
                if case .ownedInbox = call { await commit.hang() }
                return .apply
            }
            try await harness.engine.client.signal(run.id, Poke.self, "late", by: EngineHarness.bob)
            gate.open()
            #expect(try await run.result() == "done")
            commit.open()
            let lines = try await harness.lines(run.id)
            #expect(lines.contains("signal.undelivered poke") || lines.contains("signal.received poke"))
        }
    }

    @Test func aQuestionIsAskedOnceAndRefusesAnswersOfAnotherType() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in "\(try await context.ask("size", "How many?", as: Int.self))" }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open { flow }
            let client = try harness.engine.client
            #expect(try await client.pendingQuestions(of: run.id).map(\.text) == ["How many?"])
            #expect(try await client.pendingQuestions() == client.pendingQuestions(of: run.id))
            try await client.answer(run.id, question: "size", json: Data(#""many""#.utf8), by: EngineHarness.bob)
            try await harness.until(run.id, has: "operator.action size")
            #expect(try await harness.attributes(.operatorAction, of: run.id)["refused"]?.stringValue == "answer_invalid")
            try await client.answer(run.id, question: "size", with: 7, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "7")
            #expect(try await client.pendingQuestions().isEmpty)
            #expect(try await harness.count("question.asked size", in: run.id) == 1)
            #expect(try await harness.attributes(.questionAnswered, of: run.id)["by"]?.objectValue?["id"]?.stringValue == "bob")
        }
    }

    @Test func aQuestionThatNobodyAnswersInTimeThrowsADefiniteFailure() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    do {
                        return try await context.ask("size", "How many?", as: String.self, within: .seconds(60))
                    } catch let failure as StepFailure {
                        return "\(failure.code) \(failure.isDefinite)"
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(61))
            #expect(try await run.result() == "expired true")
            let late = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.answer(run.id, question: "size", json: Data("7".utf8), by: EngineHarness.bob)
            }
            #expect(late?.code == .questionClosed)
        }
    }

    @Test func anAnswerInTimeBeatsTheExpiryAlthoughTheEngineWasDownAtBoth() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in try await context.ask("size", "How many?", as: String.self, within: .seconds(60)) }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.observer().answer(run.id, question: "size", json: Data(#""ten""#.utf8), by: EngineHarness.bob)
            harness.clock.advance(by: .seconds(3_600))
            try await harness.open { flow }
            #expect(try await harness.result(run.id) == "ten")
        }
    }

    @Test func aTimeoutCancelsTheQuestionInside() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    do {
                        return try await context.timeout(.seconds(60)) {
                            try await context.ask("size", "How many?", as: String.self)
                        }
                    } catch let failure as StepFailure {
                        return failure.code
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(61))
            #expect(try await run.result() == "timed_out")
            #expect(try await harness.count("question.cancelled timeout/size", in: run.id) == 1)
        }
    }

    // Promise: 13
    @Test func aTimeoutAroundAStepEndsWithTheStepsRecordedOutcome() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    do {
                        return try await context.timeout(.seconds(60)) {
                            try await context.step(
                                "slow", input: input, .idempotent(retention: .forever),
                                policy: StepPolicy(attemptTimeout: .seconds(86_400))
                            ) {
                                text, _ in
                                await gate.hang()
                                return text
                            } undo: { _, _ in
                                effects.add("undone")
                            }
                        }
                    } catch let failure as StepFailure {
                        return failure.code
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 1 }
            try await harness.until(run.id, has: "timer.started timeout")
            harness.clock.advance(by: .seconds(61))
            try await harness.until(run.id, has: "timer.fired timeout")
            gate.open()
            #expect(try await run.result() == "timed_out")
            #expect(effects.all == ["undone"])
        }
    }

    @Test func sleepsThatFellDueWhileTheEngineWasDownEndAtOnce() async throws {
        try await withEngines { harness in
            let flow = Flow { _, context in
                for _ in 0..<3 { try await context.sleep(for: .seconds(60)) }
                return "awake"
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            harness.clock.advance(by: .seconds(90))
            try await harness.open { flow }
            try await harness.until(run.id, has: "timer.started sleep#2")
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(60))
            try await harness.until(run.id, has: "timer.started sleep#3")
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(60))
            #expect(try await harness.result(run.id) == "awake")
        }
    }
}
