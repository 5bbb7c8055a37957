import Foundation
import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// Runs that start others, over a real store.
@Suite(.timeLimit(.minutes(5))) struct ChildTests {
    private func echo(_ effects: Effects) -> Work {
        Work { input, context in
            try await context.step("work", input: input, .idempotent(retention: .forever), irreversible: "x") { input, step in
                effects.add("work \(input)", key: step.idempotencyKey)
                return input + "!"
            }
        }
    }

    // Promise: 10
    @Test func aChildIsARunOfItsOwnThatNamesItsParentAndActsForItsStarter() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                echo(harness.effects)
            }
            let run = try await harness.start()
            #expect(try await run.result() == "x!")
            #expect(
                try await harness.lines(run.id) == ["run.started", "child.started work", "child.completed work", "run.completed"])
            let child = try await harness.child("work", of: run.id)
            #expect(child == .child(of: run.id, namespace: "default", subject: "work"))
            #expect(try await harness.lines(child) == ["run.started", "step.succeeded work", "run.completed"])
            let started = try await harness.attributes(.runStarted, of: child)
            #expect(started["parent"] == ["run": .string(run.id.description), "subject": "work"])
            #expect(started["by"] == (try await harness.attributes(.runStarted, of: run.id)["by"]))
            let record = try await harness.record(child)
            #expect(record.namespace == "default" && record.workflow == "work" && record.version == "1")
            #expect(RunView(try await harness.history(child)).parent?.run == run.id)
            try await harness.expectSound(run.id)
        }
    }

    @Test func aChildThatFailsThrowsWhatItFailedWith() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    do {
                        return try await context.child(Work.self, input: input, irreversible: "x")
                    } catch let failure as StepFailure {
                        return "\(failure.code) \(failure.typeName) \(failure.decoded(as: Rejected.self)?.reason ?? "")"
                    }
                }
                Work { _, context in
                    try await context.read("look") { () async throws -> String in throw Rejected("not today") }
                }
            }
            #expect(try await harness.start().result() == "step_failed Rejected not today")
        }
    }

    @Test func childrenRunSideBySideAndHaveChildrenOfTheirOwn() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { _, context in
                    try await withThrowingTaskGroup(of: String.self) { group in
                        for name in ["a", "b", "c"] {
                            group.addTask { try await context.child(Work.self, id: name, input: name, irreversible: "x") }
                        }
                        return try await group.reduce(into: [String]()) { $0.append($1) }.sorted().joined()
                    }
                }
                Work { input, context in
                    async let left = context.child(Detail.self, id: "l", input: input + "l", irreversible: "x")
                    async let right = context.child(Detail.self, id: "r", input: input + "r", irreversible: "x")
                    return try await left + right
                }
                Detail { input, context in
                    try await context.read("wait", input: input) { input, _ in
                        try await gate.pass()
                        return input
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until { gate.arrivals == 6 }
            gate.open()
            #expect(try await run.result() == "alarblbrclcr")
            let observer = try await harness.observer()
            #expect(try await observer.lineage(of: run.id).flattened.count == 10)
            let some = try await observer.lineage(of: run.id, limit: 4)
            #expect(some.flattened.count == 4 && some.omittedCount == 2)
            var view = RunView(ofOpenWorkAnd: [])
            for _ in 0..<200 { view.add(some.events) }
            #expect(view.children.count < 1_100)
            try await harness.expectSound(run.id)
        }
    }

    @Test func aParentThatWaitsIsNotInMemory() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.cachedRuns = 0 }) {
                Flow { input, context in
                    let first = try await context.child(Work.self, input: input, irreversible: "x")
                    return try await context.child(Work.self, input: first, irreversible: "x")
                }
                Work { input, context in input + (try await context.signal(Poke.self)) }
            }
            let run = try await harness.start()
            for (subject, text) in [("work", "1"), ("work#2", "2")] {
                let child = try await harness.child(subject, of: run.id)
                try await harness.until(run.id, is: .waiting)
                try await harness.until(child, is: .waiting)
                try await harness.observer().signal(child, Poke.self, text, by: EngineHarness.bob)
            }
            #expect(try await run.result() == "x12")
            #expect(try await harness.count("run.resumed", in: run.id) == 0)
        }
    }

    // MARK: Cancelling

    @Test func cancellingAParentCancelsItsChildrenAndEndsAfterThem() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                Work { input, context in
                    try await context.step("make", input: input, .idempotent(retention: .forever)) { input, _ in
                        input
                    } undo: { _, step in
                        await gate.hang()
                        effects.add("unmake", key: step.idempotencyKey)
                    }
                    return try await context.signal(Poke.self)
                }
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id)
            try await harness.until(child, is: .waiting)
            try await harness.engine.client.cancel(run.id, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 1 }
            try await harness.until(run.id, is: .waiting)
            #expect(try await harness.lines(run.id).last == "child.cancel_requested work")
            gate.open()
            try await harness.until(run.id, is: .cancelled)
            #expect(try await harness.record(child).state == .cancelled)
            #expect(effects.distinct("unmake") == 1)
            let by = try await harness.attributes(.runCancelRequested, of: child)["by"]
            #expect(by?["id"] == .string("run \(run.id)"))
            try await harness.expectSound(run.id)
        }
    }

    @Test func aChildThatCompletesAlthoughItWasGivenUpIsUndoneFirst() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    do {
                        return try await context.timeout(.seconds(60)) {
                            try await context.child(Work.self, input: input) { output, step in
                                effects.add("undo \(output)", key: step.idempotencyKey)
                            }
                        }
                    } catch let failure as StepFailure {
                        return failure.code
                    }
                }
                Work { input, context in
                    // Swallows the cancellation: what it has begun it finishes.
                    try await context.uncancelled {
                        try await context.step("make", input: input, .idempotent(retention: .forever), irreversible: "x") {
                            input, _ in
                            await gate.hang()
                            return input + "!"
                        }
                    }
                }
            }
            let run = try await harness.start()
            let child = try await harness.child("timeout/work", of: run.id)
            try await harness.until { gate.arrivals == 1 }
            harness.clock.advance(by: .seconds(60))
            try await harness.until(child, has: "run.cancel_requested")
            gate.open()
            #expect(try await run.result() == "timed_out")
            #expect(effects.all == ["undo x!"])
            #expect(
                try await harness.lines(run.id).suffix(5) == [
                    "child.cancel_requested timeout/work", "child.completed timeout/work", "undo.started timeout/work",
                    "undo.succeeded timeout/work", "run.completed",
                ])
            try await harness.expectSound(run.id)
        }
    }

    @Test func aChildThatSomebodyElseCancelsIsAFailureOfItsParent() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                Work { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id)
            try await harness.until(child, is: .waiting)
            try await harness.engine.client.cancel(child, by: EngineHarness.bob)
            try await harness.until(run.id, is: .failed)
            #expect(try await harness.attributes(.runFailed, of: run.id)["code"] == "child_cancelled")
        }
    }

    // Promise: 19
    @Test func aRunThatUnwindsAsksCompletedChildrenToUnwindByTheirUndo() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    for name in ["one", "two"] {
                        try await context.child(Work.self, id: name, input: name) { output, step in
                            effects.add("undo \(output)", key: step.idempotencyKey)
                        }
                    }
                    throw Rejected("late")
                }
                echo(effects)
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .failed)
            #expect(effects.all == ["work one", "work two", "undo two!", "undo one!"])
            try await harness.expectSound(run.id)
        }
    }

    // MARK: Terminating

    @Test func terminatingAParentTerminatesItsChildrenAndTheirsButNotTheAbandonedOne() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    async let own = context.child(Work.self, id: "own", input: input, policy: .abandon, irreversible: "x")
                    async let bound = context.child(Work.self, id: "bound", input: input, irreversible: "x")
                    return try await own + bound
                }
                Work { input, context in try await context.child(Detail.self, input: input, irreversible: "x") }
                Detail { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let own = try await harness.child("work[own]", of: run.id), bound = try await harness.child("work[bound]", of: run.id)
            let ownDetail = try await harness.child("detail", of: own), boundDetail = try await harness.child("detail", of: bound)
            try await harness.engine.client.terminate(run.id, reason: "enough", by: EngineHarness.bob)
            try await harness.until(boundDetail, is: .terminated)
            #expect(try await harness.record(run.id).state == .terminated)
            #expect(try await harness.record(bound).state == .terminated)
            let attributes = try await harness.attributes(.runTerminated, of: boundDetail)
            #expect(attributes["reason"] == "enough" && attributes["by"]?["id"] == "bob")
            try await harness.engine.client.signal(ownDetail, Poke.self, "on", by: EngineHarness.bob)
            #expect(try await harness.result(own) == "on")
            try await harness.expectSound(run.id)
        }
    }

    @Test func aChildThatIsTerminatedFailsItsParentsWait() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                Work { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id)
            try await harness.until(child, is: .waiting)
            try await harness.engine.client.terminate(child, reason: "wrong", by: EngineHarness.bob)
            try await harness.until(run.id, is: .failed)
            let attributes = try await harness.attributes(.runFailed, of: run.id)
            #expect(attributes["code"] == "child_terminated" && attributes["definite"] == false)
            #expect(attributes["message"] == "child 'work' was terminated by bob: wrong")
            try await harness.expectSound(run.id)
        }
    }

    @Test func runsWithoutTheirCodeTerminateTheirChildrenAndTellTheirParents() async throws {
        try await withEngines { harness in
            let parent = Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
            let middle = Work { input, context in try await context.child(Detail.self, input: input, irreversible: "x") }
            let last = Detail { _, context in try await context.signal(Poke.self) }
            try await harness.open {
                parent
                middle
                last
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id)
            let grandchild = try await harness.child("detail", of: child)
            try await harness.until(grandchild, is: .waiting)
            try await harness.until(child, is: .waiting)
            try await harness.stop()
            // Only the uppermost is hosted now.
            try await harness.open { parent }
            try await harness.engine.client.terminate(child, by: EngineHarness.bob)
            try await harness.until(run.id, is: .failed)
            try await harness.until(grandchild, is: .terminated)
            #expect(try await harness.attributes(.runTerminated, of: child)["without_code"] == true)
            #expect(try await harness.attributes(.runFailed, of: run.id)["code"] == "child_terminated")
            try await harness.expectSound(run.id)
        }
    }

    // MARK: On its own

    @Test func aDetachedChildOutlivesItsParent() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    let run = try await context.startChild(Work.self, input: input, irreversible: "x")
                    let number = try await context.read("number") { 7 }
                    return "\(run) \(number)"
                }
                Work { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let result = try await run.result()
            let child = try await harness.child("work", of: run.id)
            #expect(result == "\(child) 7")
            try await harness.engine.client.signal(child, Poke.self, "later", by: EngineHarness.bob)
            #expect(try await harness.result(child) == "later")
            #expect(try await harness.observer().store.inbox(run: harness.record(run.id).number).isEmpty)
            try await harness.expectSound(run.id)
        }
    }

    @Test func anAbandonedChildGoesOnWhenItsParentNoLongerWaits() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    do {
                        return try await context.timeout(.seconds(60)) {
                            try await context.child(Work.self, input: input, policy: .abandon, irreversible: "x")
                        }
                    } catch let failure as StepFailure {
                        return failure.code
                    }
                }
                Work { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            let child = try await harness.child("timeout/work", of: run.id)
            try await harness.until(child, is: .waiting)
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(60))
            #expect(try await run.result() == "timed_out")
            try await harness.engine.client.signal(child, Poke.self, "later", by: EngineHarness.bob)
            #expect(try await harness.result(child) == "later")
            try await harness.expectSound(run.id)
        }
    }

    // MARK: What stands in the way

    @Test func aChildThatNobodyHostsBlocksItsParentUntilABuildDoes() async throws {
        try await withEngines { harness in
            let parent = Flow { input, context in
                let first = try await context.read("first") { "1" }
                return try await first + context.child(Work.self, input: input, irreversible: "x")
            }
            try await harness.open { parent }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            let attributes = try await harness.attributes(.runBlocked, of: run.id)
            #expect(attributes["reason"] == "workflow_unknown")
            #expect(try await harness.record(run.id).note?.contains("no workflow 'work'") == true)
            #expect(try await harness.count("step.succeeded first", in: run.id) == 1)
            try await harness.stop()
            try await harness.open(build: "build-2") {
                parent
                echo(harness.effects)
            }
            #expect(try await harness.result(run.id) == "1x!")
        }
    }

    @Test func aChildThatNobodyHostsLetsTheBodiesBesideItComeToTheirEnd() async throws {
        try await withEngines { harness in
            let gate = harness.gate(), effects = harness.effects
            let parent = Flow { input, context in
                async let paid: Void = context.act("pay", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "x") {
                    _, _ in
                    await gate.hang()
                    effects.add("pay")
                }
                async let made = context.child(Work.self, input: input, irreversible: "x")
                try await paid
                return try await made
            }
            try await harness.open { parent }
            let run = try await harness.start()
            try await harness.until {
                if gate.arrivals == 1 { return true }
                return try await harness.record(run.id).state == .blocked
            }
            gate.open()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.lines(run.id).suffix(2) == ["step.succeeded pay", "run.blocked work"])
            try await harness.stop()
            try await harness.open(build: "build-2") {
                parent
                echo(effects)
            }
            #expect(try await harness.result(run.id) == "x!")
            #expect(effects.count("pay") == 1)
        }
    }

    @Test func whoStartedAParentCannotApproveWhatItsChildrenDo() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                Work { input, context in
                    try await context.act(
                        "switch", input: input, .idempotent(retention: .forever),
                        approval: .required(by: .anyone, within: .days(1)),
                        irreversible: "x"
                    ) { _, _ in }
                    return "done"
                }
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id)
            try await harness.until(child, has: "approval.requested switch")
            let approval = try #require(try await harness.observer().pendingApprovals(of: child).first)
            await #expect(throws: PerdureError.self) {
                try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.ada)
            }
            try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            #expect(try await run.result() == "done")
        }
    }

    // Promise: 6, 10
    @Test func aParentIsExplainedByWhatItsChildWaitsFor() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in try await context.child(Work.self, input: input, irreversible: "x") }
                Work { input, context in try await context.child(Detail.self, input: input, irreversible: "x") }
                Detail { _, context in try await context.ask("colour", "Which colour?", as: String.self) }
            }
            let run = try await harness.start()
            let child = try await harness.child("work", of: run.id), detail = try await harness.child("detail", of: child)
            try await harness.until(detail, has: "question.asked colour")
            let (_, explanation) = try await harness.observer().explain(run.id, now: harness.clock.now())
            let text = explanation.sentences.joined(separator: "\n")
            #expect(text.contains("It waits for child 'work', run \(child) of work 1."))
            #expect(text.contains("In child 'work': It waits for child 'detail', run \(detail) of detail 1."))
            #expect(text.contains("Question 'colour' waits for an answer by anyone: Which colour?"))
            #expect(explanation.moves.contains { $0.command.prefix(3) == ["answer", detail.description, "colour"] })
            try await harness.engine.client.answer(detail, question: "colour", json: Data(#""red""#.utf8), by: EngineHarness.bob)
            #expect(try await run.result() == "red")
        }
    }
}
