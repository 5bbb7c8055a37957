import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Parents and children whose process is killed before and after every commit of either.
@Suite(.timeLimit(.minutes(5))) struct ChildCrashTests {
    private static func crew(_ effects: Effects) -> [RegisteredWorkflow] {
        let work = Work { input, context in
            let made = try await context.step("make", input: input, .idempotent(retention: .forever)) { input, step in
                effects.add("make \(input)", key: step.idempotencyKey)
                return input + "!"
            } undo: { output, step in
                effects.add("unmake \(output)", key: step.idempotencyKey)
            }
            if input == "late" { _ = try await context.signal(Poke.self) }
            return made
        }
        return [RegisteredWorkflow(work)]
    }

    /// Sends a run what takes it to its end, once. From outside, which is no commit of the engine and does not ring: a look that rings
    /// is followed by the next one, and there would be as many commits as the machine has time for.
    private static func send(
        _ kind: InboxKind, to run: RunID, _ harness: EngineHarness, _ send: (Client) async throws -> Void
    ) async throws {
        let observer = try await harness.observer(), number = try await harness.record(run).number
        // What is taken from the inbox is on record by then, so the inbox is looked at first.
        let isUnread = try await observer.store.inbox(run: number).contains { $0.delivery.kind == kind }
        let isOnRecord = try await harness.history(run).contains { $0.kind == .runCancelRequested || $0.kind == .runTerminated }
        if !isUnread, !isOnRecord { try await send(observer) }
    }

    // Promise: 1, 10
    @Test func parentAndChildrenEndAlikeWhereverTheCrashIs() async throws {
        try await CrashSweep { harness in
            Self.crew(harness.effects) + [
                RegisteredWorkflow(
                    Flow { _, context in
                        async let left = context.child(Work.self, id: "l", input: "l", irreversible: "x")
                        async let right = context.child(Work.self, id: "r", input: "r", irreversible: "x")
                        let both = try await left + right
                        return try await context.child(Work.self, input: both, irreversible: "x")
                    })
            ]
        } drive: { _, _ in
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "l!r!!", "crash at commit \(number)")
            for subject in ["work[l]", "work[r]", "work"] {
                #expect(try await harness.count("child.started \(subject)", in: run) == 1, "crash at commit \(number)")
                #expect(try await harness.count("child.completed \(subject)", in: run) == 1, "crash at commit \(number)")
            }
            for input in ["l", "r", "l!r!"] {
                #expect(harness.effects.distinct("make \(input)") == 1, "crash at commit \(number)")
            }
            #expect(try await harness.observer().store.runs(RunFilter()).count == 4, "crash at commit \(number)")
            try await harness.expectSound(run)
        }.run()
    }

    @Test func aCancelledFamilyEndsAlikeWhereverTheCrashIs() async throws {
        try await CrashSweep { harness in
            let effects = harness.effects
            return Self.crew(effects) + [
                RegisteredWorkflow(
                    Flow { _, context in
                        try await context.child(Work.self, id: "first", input: "first") { output, step in
                            effects.add("undo \(output)", key: step.idempotencyKey)
                        }
                        return try await context.child(Work.self, id: "late", input: "late", irreversible: "x")
                    })
            ]
        } drive: { harness, run in
            // Once the last child waits for its signal.
            guard let late = RunView(try await harness.history(run)).children.first(where: { $0.subject == "work[late]" }),
                try await harness.count("step.succeeded make", in: late.run) == 1
            else { return }
            try await Self.send(.cancel, to: run, harness) { try await $0.cancel(run, by: EngineHarness.bob) }
        } check: { harness, run, number async throws in
            #expect(try await harness.record(run).state == .cancelled, "crash at commit \(number)")
            let late = try await harness.child("work[late]", of: run)
            #expect(try await harness.record(late).state == .cancelled, "crash at commit \(number)")
            for effect in ["make first", "make late", "unmake late!", "undo first!"] {
                #expect(harness.effects.distinct(effect) == 1, "\(effect), crash at commit \(number)")
            }
            #expect(harness.effects.distinct("unmake first!") == 0, "crash at commit \(number)")
            #expect(try await harness.count("child.cancel_requested work[late]", in: run) == 1, "crash at commit \(number)")
            try await harness.expectSound(run)
        }.run()
    }

    @Test func aTerminatedFamilyLeavesNoChildBehindWhereverTheCrashIs() async throws {
        try await CrashSweep { harness in
            Self.crew(harness.effects) + [
                RegisteredWorkflow(
                    Flow { _, context in try await context.child(Work.self, id: "late", input: "late", irreversible: "x") })
            ]
        } drive: { harness, run in
            guard try await harness.count("child.started work[late]", in: run) == 1 else { return }
            try await Self.send(.terminate, to: run, harness) { try await $0.terminate(run, by: EngineHarness.bob) }
        } check: { harness, run, number async throws in
            #expect(try await harness.record(run).state == .terminated, "crash at commit \(number)")
            try await harness.expectSound(run)
        } isOver: { harness, run in
            // The child ends after its parent.
            guard try await harness.record(run).state.isFinal, try await harness.count("child.started work[late]", in: run) == 1
            else {
                return false
            }
            return try await harness.record(harness.child("work[late]", of: run)).state == .terminated
        }.run()
    }
}
