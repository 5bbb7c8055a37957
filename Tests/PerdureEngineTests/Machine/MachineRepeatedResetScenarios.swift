import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()

/// Runs that are reset more than once, or while something of them is decided and not begun.
@Suite struct MachineRepeatedResetScenarios {
    // MARK: A reset that passes over another one

    @Test func `a reset that passes over another one makes a third child`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .child("c"), .idempotent("b")]))
        try run.end("a")
        for _ in 0..<2 {
            try run.reset(to: 2)
            try run.endChild("c", .runCancelled)
            #expect(run.historyText.suffix(2) == ["run.reset", "child.started c"])
        }
        #expect(Set(run.startedChildren.map(\.id)).count == 3)
        #expect(try run.history.last?.attributes.object()["generation"]?.integerValue == 2)
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `what is done a third time after two resets to one point has a third key`() throws {
        for choice in [ResetChoice.keep, .undo] {
            let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s")]))
            try run.end("a")
            for generation in 1...2 {
                try run.reset(to: 1, choice)
                if choice == .undo { try run.end("a") }
                try run.end("a")
                #expect(try run.history.last?.attributes.object()["generation"]?.integerValue == Int64(generation))
            }
            #expect(Set(run.calls.map(\.key)).count == run.calls.count)
            #expect(run.calls.count == (choice == .undo ? 5 : 3))
            try run.playToTheEnd()
            #expect(run.problems() == [])
        }
    }

    @Test func `what was done again and is adopted by another reset is undone under the key under which it was done`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s"), .fails]))
        try run.end("a")
        try run.reset(to: 1, .keep)
        try run.end("a")
        try run.reset(to: 1)
        try run.send(.signal, "s", "1")
        #expect(run.calls.last?.key == IdempotencyKey.undo(of: run.calls[1].key))
        try run.playToTheEnd()
        #expect(run.calls.map(\.body) == [.step, .step, .undo])
        #expect(run.problems() == [])
    }

    @Test func `what an earlier reset has had answer again is undone where the code asked for it since`() throws {
        for isExcepted in [false, true] {
            let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s")]))
            try run.end("a")
            run.code = .sequence([.signal("h"), .idempotent("a", undo: .idempotent), .signal("s")])
            try run.reset(to: 1)
            let at = Int64(run.history.count)
            try run.send(.signal, "h", "1")
            #expect(run.machine.openSubjects == ["signal 's'"] && run.calls.count == 1)
            let survey = RunView(run.history).survey(of: ResetRequest(to: at, completed: .undo))
            #expect(survey.completed == [.init(subject: "a", seq: 2, isChild: false, isAdopted: true, choice: .undo)])
            try run.reset(to: at, .undo, isExcepted ? ["a": .adopt] : [:])
            #expect(run.calls.last?.body == (isExcepted ? .step : .undo))
            try run.playToTheEnd()
            #expect(run.problems() == [])
        }
    }

    // MARK: What had begun by the point

    @Test func `a step with a business key that had been intended by the point is adopted`() throws {
        for choice in [ResetChoice.keep, .adopt] {
            let key = BusinessKey(namespace: "default", step: "k", key: "7")
            let free = BusinessKeyRecord(
                key: key, generation: 2, holder: RunID(milliseconds: 5, random: (5, 5)), subject: "theirs", inputDigest: "",
                outcome: .free)
            let run = try MachineDriver(
                .sequence([.idempotent("k", undo: .idempotent, key: "7"), .signal("s"), .fails]), keys: [free])
            try run.end("k")
            #expect(run.historyText == ["run.started", "step.intended k", "step.succeeded k"])
            try run.reset(to: 2, choice)
            #expect(run.machine.openSubjects == ["signal 's'"] && run.calls.count == 1)
            try run.send(.signal, "s", "1")
            #expect(run.calls.last?.key == IdempotencyKey.undo(of: run.calls[0].key))
            try run.playToTheEnd()
            #expect(run.problems() == [])
        }
    }

    @Test func `a child that was there at the point is not undone by the reset, and once if the run fails later`() throws {
        for choice in [ResetChoice.undo, .keep] {
            let run = try MachineDriver(
                .sequence([
                    .parallel([.child("c", undo: .idempotent), .sequence([.idempotent("a"), .idempotent("b")])]), .signal("s"),
                    .fails,
                ]))
            try run.end("a")
            try run.endChild("c")
            try run.end("b")
            try run.reset(to: 3, choice)
            #expect(!run.kinds.contains(.undoStarted) && run.startedChildren.count == 1)
            try run.playToTheEnd()
            #expect(run.historyText.filter { $0 == "undo.started c" }.count == 1)
            #expect(run.problems() == [])
        }
    }

    @Test func `a run is not reset to where a child was at work that has been undone since`() throws {
        let run = try MachineDriver(
            .sequence([
                .recovered(.scope("x", .sequence([.parallel([.child("c", undo: .idempotent), .idempotent("a")]), .fails]))),
                .signal("s"),
            ]))
        try run.end("x/a")
        try run.endChild("x/c")
        try run.end("x/c")
        #expect(run.kinds.last == .undoSucceeded)
        for to in [2, 3, 4, 5] as [Int64] {
            #expect(RunView(run.history).survey(of: ResetRequest(to: to)).problem != nil)
            try run.reset(to: to, expectingRefusal: true)
        }
        try run.reset(to: 1)
        #expect(run.startedChildren.count == 2)
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    // MARK: What was decided and had not begun

    @Test func `what a person has undone and nobody has begun to undo is adopted`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("a", undo: .idempotent), .signal("s")]))
        try run.end("a", unclear)
        run.deliverResolution("a", .undo)
        run.deliver(.reset, "", ResetRequest(to: 1).bytes)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["step.resolved a", "operator.action", "run.reset"])
        #expect(run.machine.openSubjects == ["signal 's'"] && run.calls.count == 1)
        #expect(run.problems() == [])
    }

    @Test func `the business key of what is not undone after all is settled with the reset, or with the end of the run`() throws {
        for isTerminated in [false, true] {
            let run = try MachineDriver(
                .sequence([
                    .parallel([
                        .race([.signal("s"), .idempotent("k", undo: .idempotent, key: "7")]),
                        .recovered(.idempotent("long")),
                    ]), .signal("t"),
                ]))
            try run.send(.signal, "s", "1")
            let body = try #require(run.running.first { $0.attempt.subject == "k" })
            run.running.removeAll { $0.id == body.id }
            run.ended(body, .succeeded(ok))
            run.deliver(.reset, "", ResetRequest(to: 1).bytes)
            try run.settle()
            #expect(run.historyText.suffix(2) == ["step.succeeded k", "operator.action"])
            if isTerminated { try run.send(.terminate) } else { try run.end("long") }
            #expect(run.kinds.contains(isTerminated ? .runTerminated : .runReset))
            let key = BusinessKey(namespace: "default", step: "k", key: "7")
            #expect(run.keys[key]?.outcome == .happened(output: ok))
            #expect(run.calls.count { $0.subject == "k" } == 1)
            #expect(run.problems() == [])
        }
    }

    @Test func `a child whose undo had not begun is undone by the reset under its own key`() throws {
        let run = try MachineDriver(.sequence([.race([.signal("s"), .child("c", undo: .idempotent)]), .signal("t")]))
        try run.reset(to: 1)
        try run.endChild("c", .runCancelled)
        let reset = Int64(run.history.count - 1)
        #expect(run.historyText.suffix(2) == ["run.reset", "child.started c"])
        try run.send(.signal, "s", "1")
        run.deliverEnd(of: "c")
        run.deliver(.reset, "", ResetRequest(to: reset, completed: .undo).bytes)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["child.completed c", "operator.action", "undo.started c"])
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `while a run is reset nobody has it fail`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b")]))
        try run.end("a")
        try run.end("b", unclear)
        try run.reset(to: 1)
        try run.pass(.days(1))
        try run.resolve("b", .abort)
        #expect(try run.history.last?.attributes.object()["refused"]?.stringValue == "run_resetting")
        try run.resolve("b", .happened)
        #expect(run.kinds.contains(.runReset) && run.kinds.last == .runCompleted)
        #expect(run.problems() == [])
    }

    // MARK: The parent

    @Test func `a cancellation by the parent counts again after the reset, whenever it came`() throws {
        let parent = RunID(milliseconds: 1, random: (3, 4))
        for comesBefore in [true, false] {
            let run = try MachineDriver(
                .sequence([.idempotent("a", undo: .idempotent), .read("r"), .idempotent("b"), .signal("s")]),
                parent: ParentLink(run: parent, subject: "p"))
            for name in ["a", "r"] { try run.end(name) }
            if comesBefore { try run.send(.cancel, by: .run(parent)) }
            try run.reset(to: 2)
            if !comesBefore { try run.send(.cancel, by: .run(parent)) }
            #expect(run.historyText.contains("run.cancel_requested") && !run.kinds.contains(.runReset))
            try run.end("b")
            #expect(run.historyText.suffix(2) == ["run.reset", "undo.started a"])
            #expect(RunView(run.history).isCancelling)
            try run.playToTheEnd()
            #expect(run.kinds.last == .runCancelled)
            #expect(run.problems() == [])
        }
    }
}
