import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()
private let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
private let lost = MachineDriver.failure(isRetryable: false)

/// Unwinding: what happened is undone in reverse order, durably.
@Suite struct MachineUndoScenarios {
    @Test func `a run that throws undoes its steps in the reverse order of their completion`() throws {
        let run = try MachineDriver(
            .sequence([
                .parallel([.idempotent("a", undo: .idempotent), .idempotent("b", undo: .idempotent)]), .idempotent("keep"),
                .fails,
            ]))
        try run.end("b")
        try run.end("a")
        try run.end("keep")
        #expect(run.historyText.last == "undo.started a")
        try run.crash()
        #expect(run.calls.last?.body == .undo)
        try run.end("a")
        try run.end("b")
        #expect(run.historyText.suffix(4) == ["undo.succeeded a", "undo.started b", "undo.succeeded b", "run.failed"])
        #expect(run.violations() == [])
    }

    @Test func `a cancelled run undoes its steps, and the undo does not mind the cancellation`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .timer("t", .days(1))]))
        try run.end("a")
        try run.send(.cancel)
        #expect(run.historyText.suffix(3) == ["run.cancel_requested", "timer.cancelled t", "undo.started a"].suffix(3))
        try run.send(.cancel)
        #expect(run.kinds.last == .operatorAction, "a second cancel is told that it is one")
        try run.end("a")
        #expect(run.kinds.last == .runCancelled)
        #expect(run.violations() == [])
    }

    @Test func `a scope is undone alone`() throws {
        let run = try MachineDriver(
            .sequence([
                .idempotent("a", undo: .idempotent),
                .recovered(.scope("s", .sequence([.idempotent("b", undo: .idempotent), .fails]))), .read("c"),
            ]))
        try run.end("a")
        try run.end("s/b")
        #expect(run.historyText.last == "undo.started s/b")
        try run.end("s/b")
        #expect(run.isRunning("c"))
        try run.end("c")
        #expect(run.kinds.last == .runCompleted)
    }

    @Test func `a scope is undone whatever character a name in it begins with`() throws {
        let run = try MachineDriver(
            .sequence([
                .recovered(.scope("x", .sequence([.idempotent("\u{301}a", undo: .idempotent), .fails]))), .signal("s"),
            ]))
        try run.end("x/\u{301}a")
        #expect(run.kinds.last == .undoStarted)
    }

    @Test func `an undo has a key of its own and gets what the step gave`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .fails]))
        try run.end("a", .succeeded(Array("7".utf8)))
        #expect(run.running.first?.attempt.output == Array("7".utf8))
        try #require(run.calls.count == 2)
        #expect(run.calls[1].key == IdempotencyKey.undo(of: run.calls[0].key))
    }

    @Test func `an undo is tried without limit, and sent again after a crash`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", policy: .retry(.never), undo: .idempotent), .fails]))
        try run.end("a")
        for _ in 0..<20 {
            try run.end("a", unclear)
            try run.passUntilDue()
        }
        try run.crash(build: "build-b")
        #expect(run.historyText.last == "undo.started a")
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `an undo that cannot go on parks the run, and older ones wait`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("z", undo: .idempotent), .idempotent("a", undo: .idempotent), .fails]))
        try run.end("z")
        try run.end("a")
        try run.end("a", rejected)
        #expect(run.historyText.suffix(2) == ["undo.failed a", "run.parked"])
        try run.crash()
        #expect(!run.historyText.contains("undo.started z"))
        try run.send(.retry, "a")
        #expect(run.historyText.suffix(3) == ["operator.action a", "run.unparked", "undo.started a"])
        try run.end("a")
        #expect(run.historyText.last == "undo.started z")
        try run.end("z")
        #expect(run.violations() == [])
    }

    @Test func `an undo in doubt waits for its settling`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .atMostOnce(hasProbe: true)), .fails]))
        try run.end("a")
        try run.crash()
        #expect(run.historyText.last == "undo.in_doubt a")
        #expect(run.calls.last?.body == .undoProbe)
        try run.endProbe("a", .happened(ok))
        #expect(run.historyText.suffix(2) == ["undo.resolved a", "run.failed"])
        #expect(run.violations() == [])
    }

    @Test(arguments: [ResolutionKind.happened, .didNotHappen, .abort])
    func `a person settles an undo in doubt`(_ kind: ResolutionKind) throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .atMostOnce(hasProbe: false)), .fails]))
        try run.end("a")
        try run.end("a", unclear)
        #expect(run.historyText.suffix(2) == ["undo.in_doubt a", "run.parked"])
        run.now = run.now + .minutes(6)
        try run.resolve("a", .undo)
        #expect(run.kinds.last == .operatorAction, "an undo is not undone")
        try run.resolve("a", kind)
        #expect(run.historyText.contains("undo.resolved a"))
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `an undo whose error cannot be retried is a dead letter when it turns out that nothing happened`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .atMostOnce(hasProbe: true)), .fails]))
        try run.end("a")
        try run.end("a", lost)
        run.now = run.now + .minutes(6)
        try run.endProbe("a", .didNotHappen)
        #expect(run.historyText.suffix(2) == ["undo.resolved a", "run.parked"])
        try run.send(.retry, "a")
        #expect(run.calls.last?.body == .undo)
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `a person's retry reaches the undo of a step that is waiting for it`() throws {
        let run = try MachineDriver(.sequence([.race([.signal("s"), .idempotent("a", undo: .idempotent)]), .signal("end")]))
        try run.send(.signal, "s", "1")
        try run.end("a")
        try run.end("a", rejected)
        #expect(run.historyText.suffix(2) == ["undo.failed a", "run.parked"])
        try run.send(.retry, "a")
        #expect(run.historyText.suffix(3) == ["operator.action a", "run.unparked", "undo.started a"])
        try run.end("a")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
    }
}
