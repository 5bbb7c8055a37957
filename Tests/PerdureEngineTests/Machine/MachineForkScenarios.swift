import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done

/// Runs that begin with a copy of another one's history.
@Suite struct MachineForkScenarios {
    // MARK: What was over

    // Promise: 25
    @Test func `a fork is told what its source was told, and does the rest under keys of its own`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .read("c"), .signal("s")]))
        for name in ["a", "b", "c"] { try run.end(name) }
        let fork = try run.fork(at: 2)
        try #require(fork.historyText.prefix(3) == ["run.started", "step.succeeded a", "run.forked"])
        #expect(fork.history[0].at == run.history[0].at && fork.history[1].at == run.history[1].at)
        try #require(fork.isRunning("b") && fork.calls.map(\.subject) == ["b"])
        #expect(fork.calls[0].key != run.calls[1].key)
        try fork.playToTheEnd()
        #expect(fork.calls.map(\.subject) == ["b", "c"])
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `a fork undoes what it did itself, and nothing of what it has copied`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .idempotent("b", undo: .idempotent), .signal("s"), .fails]))
        for name in ["a", "b"] { try run.end(name) }
        let fork = try run.fork(at: 2)
        try fork.end("b")
        try fork.send(.signal, "s", "1")
        try fork.end("b")
        #expect(fork.kinds.last == .runFailed && fork.calls.map(\.body) == [.step, .undo])
        #expect(fork.problems() == [] && fork.violations() == [])
        let late = try run.fork(at: 3)
        try late.send(.signal, "s", "1")
        #expect(late.kinds.last == .runFailed && late.calls.isEmpty)
        #expect(late.problems() == [] && late.violations() == [])
    }

    // MARK: What was under way

    @Test func `timers, questions, approvals and children that were open begin anew in the fork`() throws {
        let run = try MachineDriver(
            .parallel([
                .timer("t", .hours(1)), .question("q"), .atMostOnce("a", approval: Program.approval), .child("c"),
                .idempotent("i"),
            ]))
        try run.end("i")
        try run.decide("a")
        #expect(run.isRunning("a"))
        try run.pass(.minutes(30))
        let fork = try run.fork(at: run.history.count)
        #expect(
            fork.historyText == [
                "run.started", "step.succeeded i", "run.forked", "run.resumed", "timer.started t", "question.asked q",
                "approval.requested a", "child.started c",
            ])
        #expect(fork.machine.nextDue() == fork.now + .hours(1))
        #expect(fork.startedChildren.count == 1 && fork.startedChildren[0].id != run.startedChildren[0].id)
        try fork.playToTheEnd()
        #expect(fork.calls.map(\.subject) == ["a"])
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `a child that had ended is copied, and the fork undoes nothing of it`() throws {
        let run = try MachineDriver(.sequence([.child("c", undo: .idempotent), .signal("s"), .fails]))
        try run.endChild("c", output: "7")
        let fork = try run.fork(at: run.history.count)
        #expect(fork.script.seen == ["child c: 7"] && fork.startedChildren.isEmpty)
        try fork.send(.signal, "s", "1")
        #expect(fork.kinds.last == .runFailed && fork.calls.isEmpty)
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `what the fork sends counts from the fork, not from when its source asked for it`() throws {
        let run = try MachineDriver(.sequence([.read("r"), .idempotent("i", retention: .days(1))]))
        try run.end("r")
        try run.pass(.days(90))
        let fork = try run.fork(at: 2)
        #expect(fork.isRunning("i"))
        try fork.crash()
        #expect(fork.isRunning("i") && fork.calls.count == 2)
        try fork.end("i")
        #expect(fork.kinds.last == .runCompleted && !fork.kinds.contains(.stepInDoubt))
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `what was in doubt is asked for anew by the fork`() throws {
        let run = try MachineDriver(.atMostOnce("o"))
        try run.end("o", MachineDriver.failure())
        #expect(run.kinds.last == .runParked)
        let fork = try run.fork(at: run.history.count)
        #expect(fork.historyText.dropFirst() == ["run.forked", "run.resumed", "step.intended o"])
        try fork.playToTheEnd()
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `an undo that was under way belongs to the source, and the fork ends without it`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .idempotent("b", undo: .idempotent), .fails]))
        for name in ["a", "b"] { try run.end(name) }
        #expect(run.historyText.last == "undo.started b")
        let early = try run.fork(at: run.history.count)
        #expect(early.kinds.suffix(3) == [.runForked, .runResumed, .runFailed] && early.calls.isEmpty)
        try run.end("b")
        let late = try run.fork(at: run.history.count)
        #expect(late.historyText.contains("undo.succeeded b") && late.kinds.last == .runFailed && late.calls.isEmpty)
        for fork in [early, late] { #expect(fork.problems() == [] && fork.violations() == []) }
    }

    // MARK: Keys and messages

    @Test func `a fork adopts what its source has done under a business key, and does not undo it`() throws {
        let code = Code.sequence([.read("r"), .idempotent("k", undo: .idempotent, key: "order-7"), .signal("s"), .fails])
        let run = try MachineDriver(code)
        try run.end("r")
        let early = try run.fork(at: 2)
        #expect(early.calls.isEmpty && !early.awaited.isEmpty)
        try run.end("k")
        let fork = try run.fork(at: 2)
        #expect(fork.historyText.last == "step.succeeded k")
        #expect(try fork.history.last { $0.kind == .stepSucceeded }?.attributes.object().has("adopted_from") == true)
        try fork.send(.signal, "s", "1")
        #expect(fork.kinds.last == .runFailed && fork.calls.isEmpty)
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    @Test func `messages that nobody had taken are the fork's too`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .signal("s"), .update("u")]))
        try run.send(.signal, "s", "1")
        try run.send(.update, "u", "2")
        let fork = try run.fork(at: run.history.count)
        try fork.end("a")
        #expect(fork.historyText.suffix(2) == ["update.completed d2", "run.completed"])
        #expect(fork.problems() == [] && fork.violations() == [])
    }

    // MARK: Resets

    @Test func `a fork behind a reset adopts what the source would have adopted, and does not undo it`() throws {
        let run = try MachineDriver(
            .sequence([.signal("s"), .idempotent("a", undo: .idempotent), .signal("t"), .fails]))
        try run.send(.signal, "s", "1")
        try run.end("a")
        try run.reset(to: 1)
        let fork = try run.fork(at: run.history.count)
        #expect(fork.kinds.contains(.runReset) && fork.script.seen.last == "a: {}")
        try fork.send(.signal, "t", "1")
        #expect(fork.kinds.last == .runFailed && fork.calls.isEmpty)
        #expect(fork.problems() == [])
    }

    @Test func `a run that is being reset, or has ended before, is not forked there`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b")]))
        try run.end("a")
        try run.reset(to: 1)
        #expect(run.kinds.last == .operatorAction)
        #expect(ForkBuilder.problem(of: RunView(run.history), at: Int64(run.history.count)) != nil)
        try run.playToTheEnd()
        let final = Int64(run.history.count)
        #expect(ForkBuilder.problem(of: RunView(run.history), at: final) == nil)
        #expect(ForkBuilder.problem(of: RunView(run.history), at: final + 1) == ResetProblem.noSuchEvent)
    }
}

extension MachineDriver {
    /// A run that begins where this one stood at the event, in a process of its own.
    func fork(at seq: Int, by sender: Principal = Principal(.human, "fay")) throws -> MachineDriver {
        let events = Array(history.prefix(seq))
        if let problem = ForkBuilder.problem(of: RunView(events), at: Int64(seq)) { throw DriverError(problem) }
        let source = RunRecord(
            id: identity.id, namespace: identity.namespace, workflow: identity.workflow, version: machine.identity.version,
            key: nil,
            inputDigest: "", salt: identity.salt, state: .running, createdAt: Self.start)
        let builder = ForkBuilder(source: source, events: events, reason: nil, sender: sender, now: now)
        let id = RunID(milliseconds: 1_750_000_000_001, random: (UInt64(seq), UInt64(history.count)))
        guard let made = builder.make(version: source.version, key: nil, labels: nil, build: build, id: id) else {
            throw DriverError("the first event cannot be read")
        }
        let fork = MachineDriver(code, build: build, history: made.events, calls: [], id: id)
        fork.now = max(fork.now, now)
        fork.outcomes = outcomes
        fork.keys = keys
        try fork.bringIn()
        return fork
    }
}
