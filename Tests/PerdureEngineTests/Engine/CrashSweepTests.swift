import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Kills the process before and after every commit that a workflow makes, and looks at what the other side saw.
@Suite(.timeLimit(.minutes(5))) struct CrashSweepTests {
    private func sweep(
        _ workflow: @escaping @Sendable (EngineHarness) -> RegisteredWorkflow,
        drive: @escaping @Sendable (EngineHarness, RunID) async throws -> Void,
        check: @escaping @Sendable (EngineHarness, RunID, Int) async throws -> Void
    ) async throws {
        try await CrashSweep(workflows: { [workflow($0)] }, drive: drive, check: check).run()
    }

    /// Whether nothing of this kind waits in the inbox. What is taken from there is on record by then, so that whoever looks there first
    /// sends nothing twice: each message is one more commit, and the sweep tries as many as there were in the first round.
    private static func hasTaken(_ kind: InboxKind, _ harness: EngineHarness, _ run: RunID) async throws -> Bool {
        let number = try await harness.record(run).number
        return try await !harness.observer().store.inbox(run: number).contains { $0.delivery.kind == kind }
    }

    // Promise: 1, 3, 13
    @Test func aRunCrashedBeforeAndAfterEveryCommitEndsAlikeWithEachEffectOnce() async throws {
        try await sweep { harness in
            let effects = harness.effects
            return RegisteredWorkflow(
                Flow { input, context in
                    let first = try await context.step("first", input: input, .idempotent(retention: .forever)) { text, step in
                        effects.add("first", key: step.idempotencyKey)
                        return text + "1"
                    } undo: { _, _ in
                    }
                    async let left = context.step("left", input: first, .idempotent(retention: .days(1)), irreversible: "x") {
                        text, step in
                        effects.add("left", key: step.idempotencyKey)
                        return text + "l"
                    }
                    async let right = context.step(
                        "right", input: first, .idempotent(retention: .days(1)), policy: .plain(intent: .always),
                        irreversible: "x"
                    ) { text, step in
                        effects.add("right", key: step.idempotencyKey)
                        return text + "r"
                    }
                    let both = try await left + right
                    try await context.sleep(for: .seconds(60))
                    return both
                })
        } drive: { harness, run in
            if try await harness.record(run).state == .waiting { harness.clock.advance(by: .seconds(60)) }
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "x1lx1r", "crash at commit \(number)")
            for step in ["first", "left", "right"] {
                #expect(harness.effects.distinct(step) == 1, "crash at commit \(number)")
                #expect(try await harness.count("step.succeeded \(step)", in: run) == 1, "crash at commit \(number)")
            }
        }
    }

    // Promise: 19
    @Test func aRunThatUnwindsUndoesEachStepInReverseOrderWhateverCrashes() async throws {
        try await sweep { harness in
            let effects = harness.effects
            return RegisteredWorkflow(
                Flow { input, context in
                    for name in ["one", "two", "three"] {
                        try await context.step(name, input: input, .idempotent(retention: .forever)) { _, step in
                            effects.add(name, key: step.idempotencyKey)
                            return name
                        } undo: { made, step in
                            effects.add("undo \(made)", key: step.idempotencyKey)
                        }
                    }
                    throw Rejected("late")
                })
        } drive: { _, _ in
        } check: { harness, run, number async throws in
            for name in ["one", "two", "three"] {
                #expect(harness.effects.distinct(name) == 1, "crash at commit \(number)")
                #expect(harness.effects.distinct("undo \(name)") == 1, "crash at commit \(number)")
            }
            let undone = try await harness.lines(run).filter { $0.hasPrefix("undo.succeeded") }
            #expect(undone == ["undo.succeeded three", "undo.succeeded two", "undo.succeeded one"], "crash at commit \(number)")
            #expect(try await harness.record(run).state == .failed)
        }
    }

    // Promise: 4
    @Test func anAtMostOnceStepIsNeverRepeatedBlindlyWhereverTheCrashIs() async throws {
        try await sweep { harness in
            let effects = harness.effects
            return RegisteredWorkflow(
                Flow { input, context in
                    let effect: Effect<String, String> = .atMostOnce(
                        inDoubt: .probe { _, _ in effects.count("pay") > 0 ? .happened("paid") : .didNotHappen })
                    return try await context.step("pay", input: input, effect, policy: .plain(), irreversible: "money") { _, _ in
                        effects.add("pay")
                        return "paid"
                    }
                })
        } drive: { harness, run in
            // "It did not happen" is believed only when the attempt cannot act any more.
            if try await harness.count("step.in_doubt pay", in: run) > 0 { harness.clock.advance(by: .seconds(70)) }
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "paid", "crash at commit \(number)")
            #expect(harness.effects.count("pay") == 1, "crash at commit \(number)")
        }
    }

    // Promise: 22
    @Test func anApprovalIsAskedOnceWhereverTheCrashIs() async throws {
        try await sweep { harness in
            let effects = harness.effects
            return RegisteredWorkflow(
                Flow { input, context in
                    try await context.act(
                        "switch", input: input, .idempotent(retention: .forever), policy: .plain(),
                        approval: .required(by: .role("secops"), within: .days(3)), irreversible: "x"
                    ) { _, step in effects.add("switch", key: step.idempotencyKey) }
                    return "done"
                })
        } drive: { harness, run in
            let client = try await harness.observer()
            guard try await Self.hasTaken(.decision, harness, run),
                let approval = try await client.pendingApprovals(of: run).first
            else { return }
            try await client.decide(approval, approve: true, by: EngineHarness.bob)
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "done", "crash at commit \(number)")
            for line in ["approval.requested switch", "approval.decided switch", "approval.consumed switch"] {
                #expect(try await harness.count(line, in: run) == 1, "crash at commit \(number)")
            }
            #expect(harness.effects.distinct("switch") == 1)
        }
    }

    @Test func signalsAndQuestionsAreTakenInOnceWhereverTheCrashIs() async throws {
        try await sweep { _ in
            RegisteredWorkflow(
                Flow { _, context in
                    let first = try await context.signal(Poke.self)
                    let answer = try await context.ask("colour", "Which colour?", as: String.self)
                    let second = try await context.signal(Poke.self)
                    return "\(first) \(answer) \(second)"
                })
        } drive: { harness, run in
            let client = try await harness.observer()
            try await client.signal(run, Poke.self, "a", id: "1", by: EngineHarness.bob)
            try await client.signal(run, Poke.self, "b", id: "2", by: EngineHarness.bob)
            if try await Self.hasTaken(.answer, harness, run), try await !client.pendingQuestions(of: run).isEmpty {
                try await client.answer(run, question: "colour", json: Data(#""red""#.utf8), by: EngineHarness.bob)
            }
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "a red b", "crash at commit \(number)")
            #expect(try await harness.count("signal.received poke", in: run) == 2, "crash at commit \(number)")
            #expect(try await harness.count("question.asked colour", in: run) == 1, "crash at commit \(number)")
            #expect(try await harness.count("question.answered colour", in: run) == 1, "crash at commit \(number)")
        }
    }
}
