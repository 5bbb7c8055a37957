import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()

/// Runs that go on from an earlier point of their history.
@Suite struct MachineResetScenarios {
    // MARK: What had completed

    // Promise: 25
    @Test func `after a reset what had happened answers again, and nothing of it is sent twice`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .read("c"), .signal("s"), .idempotent("d")]))
        for name in ["a", "b", "c"] { try run.end(name) }
        try run.reset(to: 2)
        #expect(run.historyText.suffix(2) == ["operator.action", "run.reset"])
        let attributes = try run.history.last?.attributes.object()
        #expect(attributes?["to"]?.integerValue == 2 && attributes?["completed"]?.stringValue == "adopt")
        #expect(attributes?["by"]?["id"]?.stringValue == "ann")
        #expect(run.machine.openSubjects == ["signal 's'"])
        try run.send(.signal, "s", "1")
        try run.end("d")
        #expect(run.machine.isClosed && run.calls.map(\.subject) == ["a", "b", "c", "d"])
        #expect(run.problems() == [])
    }

    @Test func `after a reset what is kept is done once more under a key of its own`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .signal("s")]))
        for name in ["a", "b"] { try run.end(name) }
        try run.reset(to: 2, .keep)
        #expect(run.isRunning("b"))
        try run.end("b")
        #expect(run.calls.map(\.subject) == ["a", "b", "b"] && run.calls[1].key != run.calls[2].key)
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `before a reset what is to be undone is undone, the newest first, and done once more under a key of its own`()
        throws
    {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .atMostOnce("b", undo: .idempotent), .idempotent("c"), .signal("s")]))
        for name in ["a", "b", "c"] { try run.end(name) }
        try run.reset(to: 1, .undo)
        #expect(run.historyText.suffix(2) == ["operator.action", "undo.started b"])
        try run.end("b")
        try run.end("a")
        #expect(run.historyText.suffix(4) == ["undo.succeeded b", "undo.started a", "undo.succeeded a", "run.reset"])
        try run.end("a")
        try run.end("b")
        #expect(run.calls.filter { $0.body == .step }.map(\.subject) == ["a", "b", "c", "a", "b"])
        let keys = run.calls.filter { $0.subject == "a" }.map(\.key)
        #expect(Set(keys).count == 3)
        #expect(run.machine.openSubjects == ["signal 's'"])
        #expect(run.problems() == [])
    }

    @Test func `a reset says of single steps what becomes of them`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .idempotent("b"), .read("c"), .signal("s")]))
        for name in ["a", "b", "c"] { try run.end(name) }
        try run.reset(to: 1, .adopt, ["a": .undo, "c": .keep])
        try run.end("a")
        #expect(run.kinds.last == .runReset)
        try run.end("a")
        try run.end("c")
        #expect(run.calls.filter { $0.body == .step }.map(\.subject) == ["a", "b", "c", "a", "c"])
        #expect(run.problems() == [])
    }

    @Test func `an adopted step is undone when the run fails later`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s"), .fails]))
        try run.end("a")
        try run.reset(to: 1)
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .undoStarted)
        try run.end("a")
        #expect(run.kinds.last == .runFailed && run.calls.map(\.body) == [.step, .undo])
        #expect(run.problems() == [])
    }

    @Test func `what had happened with another input is done once more`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .signal("s")]))
        try run.end("a")
        run.code = .sequence([
            .step(StepRequest(subject: "a", name: "a", effect: .idempotent(.forever), irreversible: "x", input: ok)),
            .signal("s"),
        ])
        try run.reset(to: 1)
        #expect(run.isRunning("a") && run.calls[0].key != run.calls[1].key)
        try run.end("a")
        #expect(run.problems() == [])
    }

    // MARK: What was under way

    @Test func `a reset waits for what is under way, tells it to stop, and takes its outcome`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .idempotent("b")]))
        try run.end("a")
        try run.reset(to: 1)
        #expect(run.kinds.last == .operatorAction && run.told == ["b"])
        try run.end("b")
        #expect(run.historyText.suffix(3) == ["step.succeeded b", "run.reset", "run.completed"])
        #expect(run.calls.map(\.subject) == ["a", "b"])
        #expect(run.problems() == [])
    }

    @Test func `undos that have begun without the code do not wait for steps of which it alone knows`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .idempotent("b", undo: .idempotent), .signal("s")]))
        try run.end("a")
        try run.crash()
        let request = ResetRequest(to: 1, completed: .undo)
        var object = JSONObject([("action", "reset"), ("delivery", "d1"), ("by", JSONValue(Principal(.human, "ann")))])
        for case (let name, let value?) in request.members { object[name] = value }
        try run.record(EventDraft(.operatorAction, attributes: Attributes(object)))
        try run.record(EventDraft(.undoStarted, subject: "a", attributes: ["attempt": 1, "effect": "idempotent"]))
        run.deliver(.reset, "", request.bytes)
        try run.crash()
        try run.end("b")
        try run.end("a")
        try run.end("b")
        #expect(run.kinds.last == .runReset || run.kinds.contains(.runReset))
        #expect(run.kinds.count { $0 == .operatorAction } == 1)
        #expect(run.calls.filter { $0.body == .undo }.map(\.subject).sorted() == ["a", "b"])
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `what is in doubt is resolved before the run is reset`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .idempotent("c")]))
        try run.end("a")
        try run.end("b", unclear)
        #expect(run.kinds.last == .runParked)
        try run.reset(to: 2)
        #expect(run.kinds.last == .operatorAction)
        try run.resolve("b", .happened)
        #expect(run.historyText.contains("step.resolved b") && run.kinds.contains(.runReset))
        #expect(run.isRunning("c"))
        try run.playToTheEnd()
        #expect(run.calls.map(\.subject) == ["a", "b", "c"])
        #expect(run.problems() == [])
    }

    @Test func `what was cut off by a crash is settled before the run is reset`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b"), .signal("s")]))
        try run.end("a")
        run.deliver(.reset, "", ResetRequest(to: 1).bytes)
        try run.crash()
        #expect(run.isRunning("b") && run.kinds.last == .operatorAction)
        try run.end("b")
        #expect(run.kinds.last == .runReset && run.calls.map(\.subject) == ["a", "b", "b"])
        #expect(run.machine.openSubjects == ["signal 's'"])
        #expect(run.problems() == [])
    }

    @Test func `timers, questions and approvals end, and begin anew where the code still waits for them`() throws {
        let run = try MachineDriver(
            .sequence([
                .timer("t0", .hours(9)),
                .parallel([.timer("t", .hours(1)), .question("q"), .atMostOnce("a", approval: Program.approval)]),
            ]))
        try run.passUntilDue()
        try run.reset(to: 3)
        let ends = Set(run.historyText.suffix(8))
        #expect(ends.isSuperset(of: ["timer.cancelled t", "question.cancelled q", "approval.cancelled a", "run.reset"]))
        let again = Set(run.historyText.suffix(3))
        #expect(again == ["timer.started t", "question.asked q", "approval.requested a"])
        try run.decide("a")
        try run.end("a")
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `a timer that the point has seen begin keeps its time`() throws {
        let run = try MachineDriver(.parallel([.timer("t", .hours(2)), .idempotent("a")]))
        let due = run.machine.nextDue()
        try run.end("a")
        try run.pass(.hours(1))
        try run.reset(to: 2)
        #expect(run.kinds.last == .timerStarted && run.machine.nextDue() == due)
        try run.passUntilDue()
        #expect(run.machine.isClosed && run.calls.count == 1)
        #expect(run.problems() == [])
    }

    @Test func `an approval that was used does not return`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("a", approval: Program.approval), .signal("s")]))
        try run.decide("a")
        try run.end("a")
        try run.reset(to: 1, .keep)
        #expect(run.kinds.last == .approvalRequested)
        try run.decide("a")
        try run.end("a")
        #expect(run.problems() == [])
    }

    @Test func `a decision that comes while the run is reset is refused`() throws {
        let run = try MachineDriver(.parallel([.atMostOnce("a", approval: Program.approval), .idempotent("b")]))
        try run.reset(to: 1)
        run.deliverDecision("a")
        try run.settle()
        #expect(
            try run.history.last { $0.kind == .operatorAction }?.attributes.object()["refused"]?.stringValue == "approval_closed")
        try run.end("b")
        #expect(run.kinds.suffix(1) == [.approvalRequested])
        #expect(run.problems() == [])
    }

    // MARK: Messages

    @Test func `signals since the point are delivered again, in their order`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .signal("s"), .idempotent("a"), .signal("s"), .idempotent("b")]))
        for text in ["1", "2"] { try run.send(.signal, "s", text) }
        try run.end("a")
        try run.reset(to: 2)
        #expect(run.machine.openSubjects == ["signal 's'"])
        try run.send(.signal, "s", "3")
        #expect(run.isRunning("b"))
        #expect(run.problems() == [])
    }

    @Test func `a cancellation since the point is forgotten`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b")]))
        try run.end("a")
        try run.send(.cancel)
        #expect(run.kinds.contains(.runCancelRequested))
        try run.reset(to: 2)
        try run.end("b")
        #expect(run.kinds.contains(.runReset))
        try run.playToTheEnd()
        #expect(run.kinds.last == .runCompleted)
        #expect(run.problems() == [])
    }

    @Test func `while a run is reset it takes messages, and refuses what would change where it stands`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .idempotent("a", undo: .idempotent), .signal("s"), .signal("s")]))
        for name in ["r", "a"] { try run.end(name) }
        try run.reset(to: 2, .undo)
        #expect(run.kinds.last == .undoStarted)
        try run.send(.signal, "s", "1")
        for kind in [InboxKind.cancel, .pause, .repin] { try run.send(kind, "", kind == .repin ? #""2""# : nil) }
        try run.reset(to: 1)
        let refused = try run.history.compactMap { try $0.attributes.object()["refused"]?.stringValue }
        #expect(refused == ["run_resetting", "run_resetting", "run_resetting", "reset_refused"])
        try run.end("a")
        try run.end("a")
        #expect(run.machine.openSubjects == ["signal 's'"])
        #expect(run.problems() == [])
    }

    // MARK: Children

    @Test func `a child that was started since is told to end, and another one is made`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .child("c")]))
        try run.end("a")
        try run.reset(to: 2)
        #expect(run.historyText.last == "child.cancel_requested c")
        try run.playToTheEnd()
        try #require(run.kinds.contains(.runReset) && run.startedChildren.count == 2)
        #expect(run.startedChildren[0].id != run.startedChildren[1].id)
        #expect(run.problems() == [])
    }

    @Test func `a child that had completed answers again, and its undo is the run's`() throws {
        let run = try MachineDriver(.sequence([.child("c", undo: .idempotent), .signal("s"), .fails]))
        run.deliverEnd(of: "c", .runCompleted)
        try run.settle()
        try run.reset(to: 1)
        #expect(run.startedChildren.count == 1 && run.machine.openSubjects == ["signal 's'"])
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .undoStarted)
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `a child that was there at the point stays, and its end is not lost`() throws {
        for endsBefore in [true, false] {
            let run = try MachineDriver(
                .sequence([.parallel([.child("c"), .sequence([.idempotent("a"), .idempotent("b")])]), .signal("s")]))
            try run.end("a")
            if endsBefore {
                run.deliverEnd(of: "c", .runCompleted)
                try run.settle()
            }
            try run.end("b")
            try run.reset(to: 2)
            #expect(run.kinds.contains(.runReset) && run.startedChildren.count == 1)
            if !endsBefore {
                run.deliverEnd(of: "c", .runCompleted)
                try run.settle()
            }
            #expect(run.machine.openSubjects == ["signal 's'"] && run.calls.count == 2)
            #expect(run.problems() == [])
        }
    }

    // MARK: Refusals

    @Test func `a run is not reset to where something counts that has been undone since`() throws {
        let run = try MachineDriver(
            .sequence([
                .recovered(.scope("x", .sequence([.idempotent("a", undo: .idempotent), .idempotent("b"), .fails]))), .signal("s"),
            ]))
        try run.end("x/a")
        try run.end("x/b")
        try run.end("x/a")
        for to in [2, 3, 4, 99] as [Int64] { try run.reset(to: to, expectingRefusal: true) }
        try run.reset(to: 1)
        #expect(run.kinds.contains(.runReset) && run.isRunning("x/a"))
        #expect(run.problems() == [])
    }

    @Test func `a run is reset twice, and not to where the first one has passed over`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b"), .idempotent("c"), .signal("s")]))
        for name in ["a", "b", "c"] { try run.end(name) }
        try run.reset(to: 2, .keep)
        let at = Int64(run.history.count)
        try run.end("b")
        try run.reset(to: 3, expectingRefusal: true)
        try run.end("c")
        try run.reset(to: at, .keep)
        try run.end("b")
        try run.end("c")
        try run.reset(to: 1)
        #expect(run.machine.openSubjects == ["signal 's'"])
        #expect(run.calls.map(\.subject) == ["a", "b", "c", "b", "c", "b", "c"])
        #expect(Set(run.calls.filter { $0.subject == "b" }.map(\.key)).count == 3)
        try run.playToTheEnd()
        #expect(run.problems() == [])
    }

    @Test func `a run that is being reset can be terminated`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s")]))
        try run.end("a")
        try run.reset(to: 1, .undo)
        try run.send(.terminate)
        #expect(run.machine.isClosed && !run.kinds.contains(.runReset))
        #expect(run.problems() == [])
    }

    @Test func `what cannot be undone is adopted, and so is what has a business key`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("a"), .idempotent("k", key: "7"), .read("r"), .signal("s")]))
        for name in ["a", "k", "r"] { try run.end(name) }
        try run.reset(to: 1, .undo, ["k": .keep])
        try run.end("r")
        #expect(run.calls.map(\.subject) == ["a", "k", "r", "r"])
        #expect(run.problems() == [])
    }
}

extension ResetRequest {
    var bytes: [UInt8] { (try? Payload.encode(self, what: "a reset").bytes) ?? [] }
}

extension MachineDriver {
    func reset(
        to seq: Int64, _ completed: ResetChoice = .adopt, _ exceptions: [String: ResetChoice] = [:],
        expectingRefusal isRefused: Bool = false
    ) throws {
        deliver(.reset, "", ResetRequest(to: seq, completed: completed, exceptions: exceptions).bytes)
        try settle()
        guard isRefused else { return }
        let last = try history.last { $0.kind == .operatorAction }?.attributes.object()
        if last?["refused"]?.stringValue != "reset_refused" { throw DriverError("the reset to \(seq) was not refused") }
    }

    /// What the verifier and a replay from the beginning have to say of the history.
    func problems() -> [String] {
        let input = Array("null".utf8)
        let record = RunRecord(
            id: identity.id, namespace: identity.namespace, workflow: identity.workflow, version: machine.identity.version,
            key: nil,
            inputDigest: SaltedDigest.hex(salt: identity.salt, canonicalBytes: input), salt: identity.salt,
            state: history.last { $0.kind.isFinal }.flatMap { RunState(final: $0.kind) } ?? .running, createdAt: Self.start)
        let wrong = HistoryVerifier.verify(record, history).problems.filter { $0.rule != .row && $0.rule != .beginning }
        let found = wrong.map(\.message) + StateContinuity(history).problems.map(\.message)
        let replay = MachineDriver(code, build: build, history: history, calls: [], id: identity.id)
        do {
            for event in history { try replay.feed(event) }
        } catch {
            return found + ["the history cannot be replayed: \(error)"]
        }
        let isSame = replay.script.seen == script.seen || !script.complaints.isEmpty
        return found + script.complaints + doneTwice()
            + (isSame ? [] : ["live \(script.seen), on replay \(replay.script.seen)"])
    }
}
