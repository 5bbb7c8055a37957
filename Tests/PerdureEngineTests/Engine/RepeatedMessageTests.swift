import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Messages that are sent again under the id that they had, by somebody who did not hear the answer.
@Suite(.timeLimit(.minutes(5))) struct RepeatedMessageTests {
    private let bob = EngineHarness.bob

    /// How often the history says what a message of this kind leaves.
    private func count(_ kind: EventKind, _ run: RunID, _ harness: EngineHarness) async throws -> Int {
        try await harness.history(run).count { $0.kind == kind }
    }

    @Test func `a decision, an answer and a cancel are taken in once under one id, also after they have had their effect`()
        async throws
    {
        try await withEngines { harness in
            let client = try await harness.open {
                Flow { input, context in
                    let answer = try await context.ask("q", "How?", as: String.self)
                    try await context.act(
                        "pay", input: input, .atMostOnce(inDoubt: .askPerson),
                        approval: .required(by: .anyone, within: .seconds(86_400)), irreversible: "x"
                    ) { _, _ in }
                    _ = try await context.signal(Poke.self)
                    return answer
                }
            }.client
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            for _ in 0..<2 { try await client.answer(run, question: "q", with: "so", id: "1", by: bob) }
            try await harness.until { try await client.pendingApprovals(of: run).count == 1 }
            try await client.answer(run, question: "q", with: "so", id: "1", by: bob)
            let closed = await #expect(throws: PerdureError.self) {
                try await client.answer(run, question: "q", with: "so", id: "2", by: bob)
            }
            #expect(closed?.code == .questionClosed)

            let approval = try #require(try await client.pendingApprovals(of: run).first)
            for _ in 0..<2 { try await client.decide(approval, approve: true, id: "1", by: bob) }
            try await harness.until { try await count(.stepSucceeded, run, harness) == 1 }
            try await client.decide(approval, approve: true, id: "1", by: bob)
            let decided = await #expect(throws: PerdureError.self) {
                try await client.decide(approval, approve: true, id: "2", by: bob)
            }
            #expect(decided?.code == .approvalClosed)

            try await client.cancel(run, id: "1", by: bob)
            try await harness.until(run, is: .cancelled)
            try await client.cancel(run, id: "1", by: bob)
            let over = await #expect(throws: PerdureError.self) { try await client.cancel(run, id: "2", by: bob) }
            #expect(over?.code == .runClosed)
            #expect(try await count(.questionAnswered, run, harness) == 1)
            #expect(try await count(.approvalDecided, run, harness) == 1)
            #expect(try await count(.runCancelRequested, run, harness) == 1)
        }
    }

    @Test func `interventions are taken in once under one id`() async throws {
        try await withEngines { harness in
            let client = try await harness.open {
                Flow { input, context in
                    try await context.read("look", input: input, policy: .retry(.never)) { text, _ in
                        if text == "x" { throw Hiccup() }
                        return text
                    }
                }
            }.client
            let run = try await harness.start().id
            try await harness.until(run, is: .parked)
            for _ in 0..<2 { try await client.pause(run, reason: "look", id: "1", by: bob) }
            try await harness.until(run, is: .paused)
            for _ in 0..<2 { try await client.repin(run, to: "7", id: "1", by: bob) }
            try await harness.until { try await client.run(run).version == "7" }
            try await client.repin(run, to: "7", id: "1", by: bob)
            let pinned = await #expect(throws: PerdureError.self) { try await client.repin(run, to: "7", id: "2", by: bob) }
            #expect(pinned?.code == .usage)
            for _ in 0..<2 { try await client.resolve(run, step: "look", .abort, id: "1", by: bob) }
            try await harness.until { try await client.stuckSteps(of: run).isEmpty }
            try await client.resolve(run, step: "look", .abort, id: "1", by: bob)
            let resolved = await #expect(throws: PerdureError.self) {
                try await client.resolve(run, step: "look", .abort, id: "2", by: bob)
            }
            #expect(resolved?.code == .stepNotStuck)
            for _ in 0..<2 { try await client.terminate(run, reason: "enough", id: "1", by: bob) }
            try await harness.until(run, is: .terminated)
            try await client.terminate(run, reason: "enough", id: "1", by: bob)
            #expect(try await count(.runPaused, run, harness) == 1)
            #expect(try await count(.stepResolved, run, harness) == 1)
            #expect(try await count(.runTerminated, run, harness) == 1)
        }
    }

    @Test func `an id is for one message: another content under it is refused, before and after the first is taken in`()
        async throws
    {
        try await withEngines { harness in
            let client = try await harness.open {
                Flow { input, context in
                    let answer = try await context.ask("q", "How?", as: String.self)
                    _ = try await context.signal(Poke.self)
                    return answer
                }
            }.client
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            func conflict(_ call: () async throws -> Void) async -> Bool {
                await #expect(throws: PerdureError.self) { try await call() }?.code == .messageConflict
            }
            try await client.answer(run, question: "q", with: "so", id: "1", by: bob)
            #expect(await conflict { try await client.answer(run, question: "q", with: "otherwise", id: "1", by: bob) })
            try await harness.until { try await count(.questionAnswered, run, harness) == 1 }
            #expect(await conflict { try await client.answer(run, question: "q", with: "otherwise", id: "1", by: bob) })
            try await client.pause(run, reason: "look", id: "1", by: bob)
            #expect(await conflict { try await client.pause(run, reason: "else", id: "1", by: bob) })
            try await harness.until(run, is: .paused)
            try await client.terminate(run, reason: "enough", id: "1", by: bob)
            try await harness.until(run, is: .terminated)
            #expect(await conflict { try await client.terminate(run, reason: "more", id: "1", by: bob) })
            #expect(await conflict { try await client.pause(run, reason: "else", id: "1", by: bob) })
            #expect(try await harness.attributes(.runTerminated, of: run)["reason"]?.stringValue == "enough")
        }
    }

    @Test func `a word on a loss is the same one after it was heeded and the run was continued`() async throws {
        try await withEngines { harness in
            let client = try await harness.open {
                Flow { input, context in
                    if input == "next" { return try await context.signal(Poke.self) }
                    _ = try await context.signal(Poke.self)
                    try await context.continueAsNew(Flow.self, input: "next")
                }
            }.client
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            _ = try await client.store.beginRestoration(by: "bob", reason: "a backup was played back")
            _ = try await client.recoverRestored(by: bob)
            harness.clock.advance(by: .seconds(1))
            for _ in 0..<2 { try await client.settleLoss(of: run, reason: "looked", id: "1", by: bob) }
            try await harness.advanceUntil(by: .seconds(1)) { try await client.view(of: run).lostPart == nil }
            try await client.signal(run, Poke.self, "x", by: bob)
            try await harness.advanceUntil(by: .seconds(1)) { try await client.latest(of: run) != run }
            try await client.settleLoss(of: run, reason: "looked", id: "1", by: bob)
            let again = await #expect(throws: PerdureError.self) {
                try await client.settleLoss(of: run, reason: "looked", id: "2", by: bob)
            }
            #expect(again?.code == .runNotRestored)
        }
    }

    @Test func `an id that cannot be recorded is refused`() async throws {
        try await withEngines { harness in
            let client = try await harness.open { Flow { _, context in try await context.signal(Poke.self) } }.client
            let run = try await harness.start().id
            for id in ["", "\n", "a\u{0}b", String(repeating: "x", count: 257)] {
                let calls: [() async throws -> Void] = [
                    { try await client.cancel(run, id: id, by: bob) },
                    { try await client.retry(run, step: "s", id: id, by: bob) },
                    { try await client.resolve(run, step: "s", .abort, id: id, by: bob) },
                    { try await client.repin(run, to: "9", id: id, by: bob) },
                    { try await client.answer(run, question: "q", with: "x", id: id, by: bob) },
                ]
                for call in calls {
                    let error = await #expect(throws: PerdureError.self) { try await call() }
                    #expect(error?.code == .nameInvalid)
                }
            }
        }
    }
}
