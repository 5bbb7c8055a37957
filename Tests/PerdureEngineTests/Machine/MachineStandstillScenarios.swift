import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()

/// Runs that are paused, or go on with the code of another version.
@Suite struct MachineStandstillScenarios {
    // MARK: Pausing

    // Promise: 24
    @Test func `a pause waits for what is under way, starts nothing more, and the run goes on where it was`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b"), .read("c")]))
        try run.send(.pause, "", #""audit""#)
        #expect(run.historyText == ["run.started"])
        try run.end("a")
        #expect(run.historyText == ["run.started", "step.succeeded a", "run.paused"])
        #expect(try run.history.last?.attributes.object()["reason"]?.stringValue == "audit")
        #expect(run.calls.map(\.subject) == ["a"] && run.inbox.isEmpty)
        try run.resume()
        #expect(run.historyText.suffix(2) == ["run.unpaused", "step.intended b"])
        try run.playToTheEnd()
        #expect(run.calls.map(\.subject) == ["a", "b", "c"])
        #expect(run.violations() == [])
    }

    @Test func `a run that only waits is paused at once`() throws {
        let run = try MachineDriver(.parallel([.signal("s"), .timer("t", .hours(1)), .question("q")]))
        try run.send(.pause)
        #expect(run.kinds.last == .runPaused)
        try run.pass(.hours(2))
        #expect(run.kinds.last == .runPaused)
        try run.resume()
        #expect(run.historyText.suffix(2) == ["run.unpaused", "timer.fired t"])
    }

    @Test func `what comes while the run is to stand still waits, and counts when it goes on`() throws {
        let run = try MachineDriver(.parallel([.idempotent("a"), .signal("s"), .timer("t", .hours(1))]))
        try run.send(.pause)
        try run.send(.signal, "s", "1")
        try run.pass(.hours(2))
        try run.send(.cancel)
        #expect(run.historyText == ["run.started", "timer.started t"])
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.paused"])
        #expect(run.inbox.map(\.delivery.kind) == [.signal, .cancel])
        try run.resume()
        #expect(
            run.historyText.suffix(5) == [
                "run.unpaused", "signal.received s", "timer.fired t", "run.cancel_requested", "run.completed",
            ])
        #expect(run.violations() == [])
    }

    @Test func `an intent that is durable is sent before the run stands still`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .atMostOnce("a")]))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        try run.cycle()
        #expect(run.historyText.last == "step.intended a" && run.calls.isEmpty)
        try run.send(.pause)
        #expect(run.calls.map(\.subject) == ["a"])
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.paused"])
        try run.resume()
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test func `what was given up is told to stop before the run stands still`() throws {
        let run = try MachineDriver(.race([.signal("s"), .idempotent("a")]))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        try run.send(.pause)
        #expect(run.told == ["a"] && run.kinds.last == .signalReceived)
        try run.end("a")
        #expect(run.kinds.last == .runPaused)
        try run.resume()
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test func `a pause that is ended before it took effect is recorded and holds nothing up`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .signal("s"), .idempotent("b")]))
        try run.send(.pause)
        try run.send(.signal, "s", "1")
        try run.send(.unpause)
        #expect(run.historyText == ["run.started", "run.paused", "run.unpaused", "signal.received s"])
        try run.end("a")
        try run.end("b")
        #expect(run.machine.isClosed && run.inbox.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a pause that follows one that was ended at once is the last word`() throws {
        for isEnded in [false, true] {
            let run = try MachineDriver(.sequence([.idempotent("a"), .atMostOnce("b")]))
            for kind in [InboxKind.pause, .unpause, .pause] { run.deliver(kind) }
            if isEnded { run.deliver(.unpause) }
            try run.settle()
            try run.end("a")
            #expect(run.kinds.contains(.operatorAction) == false)
            #expect(run.kinds.last == (isEnded ? .stepIntended : .runPaused))
            if !isEnded { try run.resume() }
            try run.playToTheEnd()
            #expect(run.violations() == [])
        }
    }

    @Test func `a second pause, and the end of a pause that there is not, are refused`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.send(.unpause)
        try run.send(.pause)
        try run.send(.pause)
        try run.end("a")
        let refused = try run.history.filter { $0.kind == .operatorAction }.map {
            try $0.attributes.object()["refused"]?.stringValue
        }
        #expect(refused == ["run_not_paused", "run_paused"])
        #expect(run.kinds.suffix(2) == [.stepSucceeded, .runPaused])
    }

    @Test func `a run that is to stand still can be terminated`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.send(.pause)
        try run.send(.signal, "s", "1")
        try run.send(.terminate)
        #expect(run.machine.isClosed && run.inbox.isEmpty)
        #expect(run.kinds.filter { $0 == .runPaused } == [])
        #expect(run.kinds.contains(.stepInDoubt) && run.kinds.last == .runTerminated)
        #expect(run.violations() == [])
    }

    @Test func `what a person says of a step counts while the run is to stand still`() throws {
        let run = try MachineDriver(.parallel([.atMostOnce("a"), .idempotent("b")]))
        try run.end("a", unclear)
        try run.send(.pause)
        try run.resolve("a", .happened)
        #expect(run.historyText.last == "step.resolved a")
        try run.end("b")
        #expect(run.historyText.suffix(2) == ["step.succeeded b", "run.paused"])
        try run.resume()
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test func `a crash while the run is to stand still leaves the pause to come`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("a"), .idempotent("b")]))
        try run.send(.pause)
        try run.crash()
        #expect(run.historyText == ["run.started", "step.intended a", "run.resumed", "run.paused"])
        try run.resume()
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `a plain step that a crash cut off leaves an intent before the run stands still`() throws {
        for kind in [InboxKind.pause, .repin] {
            let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b")]))
            run.deliver(kind, "", kind == .repin ? Array(#""2""#.utf8) : nil)
            try run.crash()
            #expect(run.historyText.dropFirst(2).first == "step.intended a")
            #expect(run.historyText.last == (kind == .repin ? "run.repinned" : "run.paused"))
            if kind == .repin { try run.evict() } else { try run.resume() }
            #expect(run.calls.map(\.subject) == ["a", "a"])
            try run.playToTheEnd()
            #expect(run.violations() == [])
        }
    }

    @Test func `what may have been sent under another version is intended again before it is sent`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b")]))
        try run.end("a", unclear)
        try run.send(.repin, "", #""2""#)
        #expect(run.kinds.last == .runRepinned)
        try run.evict()
        try run.pass(.hours(1))
        #expect(run.historyText.last == "step.intended a" && run.calls.count == 2)
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    // MARK: Another version

    // Promise: 25
    @Test func `a run that is pinned to another version ends what is under way and stands down`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("b")]))
        try run.send(.repin, "", #""2""#)
        try run.send(.pause)
        #expect(run.historyText == ["run.started"])
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.repinned"])
        #expect(run.machine.identity.version == "2" && run.calls.count == 1)
        let attributes = try run.history.last?.attributes.object()
        #expect(attributes?["from"]?.stringValue == "1" && attributes?["to"]?.stringValue == "2")
        // Whoever has the other version's code finds the pause in the inbox.
        try run.evict()
        #expect(run.kinds.last == .runPaused && run.machine.identity.version == "2")
        try run.resume()
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `an approval that is open stays so under another version`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: Program.approval))
        try run.send(.repin, "", #""2""#)
        #expect(run.kinds.last == .runRepinned)
        try run.evict()
        try run.decide("a")
        #expect(run.historyText.suffix(2) == ["approval.consumed a", "step.intended a"])
        try run.end("a")
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test(arguments: ["\"1\"", "\"a b\"", "2", nil])
    func `a run cannot be pinned to the version it is on, nor to none`(_ version: String?) throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.send(.repin, "", version)
        #expect(run.kinds.last == .operatorAction)
        #expect(try run.history.last?.attributes.object()["refused"]?.stringValue == "usage")
        try run.end("a")
        #expect(run.machine.isClosed)
    }
}
