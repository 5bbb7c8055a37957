import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

/// What the code says of itself: its status, its labels, which of its changes it follows, and how long it may take.
@Suite struct MachineNoteScenarios {
    @Test func `a status and labels are recorded, each once, before the code goes on`() throws {
        let run = try MachineDriver(.sequence([.report("half"), .label("stage"), .idempotent("a")]))
        #expect(run.historyText == ["run.started", "status.reported status", "labels.changed labels"])
        #expect(run.calls.count == 1)
        try run.crash()
        #expect(run.historyText.count { $0.hasPrefix("status") } == 1)
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `a status may read otherwise in another build`() throws {
        let run = try MachineDriver(.sequence([.report("half"), .idempotent("a")]))
        run.code = .sequence([.report("50 %"), .idempotent("a")])
        try run.crash(build: "build-b")
        #expect(run.calls.count == 2)
    }

    @Test func `a status that was given up before the run came to rest leaves no trace`() throws {
        let run = try MachineDriver(.recovered(.parallel([.report("half"), .fails])))
        #expect(run.historyText == ["run.started", "run.completed"])
    }

    @Test func `a status that was given up while it was on its way ends with its event`() throws {
        let run = try MachineDriver(.race([.sequence([.timer("t", .hours(1)), .report("half")]), .signal("s")]))
        run.deliver(.signal, "s", Array("1".utf8))
        run.refusals = 1
        try run.pass(.hours(1))
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    // MARK: Updates

    @Test func `an update is received and answered, and the code goes on when both are durable`() throws {
        let run = try MachineDriver(.sequence([.update("u"), .idempotent("a")]))
        try run.send(.update, "u", "7")
        #expect(run.historyText == ["run.started", "update.received u", "update.completed d1"])
        try run.crash()
        #expect(run.historyText.count { $0.hasPrefix("update") } == 2)
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `an update that came early is kept`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .update("u")]))
        try run.send(.update, "u", "7")
        try run.crash()
        try run.send(.signal, "s", "1")
        #expect(run.machine.isClosed)
        #expect(run.historyText.contains("update.completed d1"))
    }

    @Test func `a wait for an update that was given up ends at once`() throws {
        let run = try MachineDriver(.race([.update("u"), .signal("s")]))
        try run.send(.signal, "s", "1")
        #expect(run.machine.isClosed)
    }

    @Test func `an update that comes while the run is terminated is rejected`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .update("u")]))
        run.deliver(.terminate)
        run.deliver(.update, "u", Array("7".utf8))
        try run.settle()
        #expect(run.historyText.contains("update.rejected d2"))
        #expect(run.machine.isClosed)
    }

    @Test func `an update that comes while the whole run is undone is rejected`() throws {
        let failing = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .fails, .update("u")]))
        try failing.end("a")
        try failing.send(.update, "u", "7")
        #expect(failing.historyText.suffix(2) == ["undo.started a", "update.rejected d1"])
        try failing.crash()
        try failing.end("a")
        #expect(failing.kinds.last == .runFailed)
        #expect(failing.violations() == [])
    }

    @Test func `updates that no code has taken are rejected in their order when the whole run begins to be undone`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s"), .fails, .update("u")]))
        try run.end("a")
        try run.send(.update, "v", "7")
        try run.send(.update, "u", "7")
        try run.crash()
        run.refusals = 1
        try run.send(.signal, "s", "1")
        let rejected = ["update.rejected d1", "update.rejected d2"]
        #expect(run.historyText.filter { $0.hasPrefix("update.rejected") } == rejected)
        try run.crash()
        try run.end("a")
        #expect(run.historyText.filter { $0.hasPrefix("update.rejected") } == rejected)
        #expect(run.kinds.last == .runFailed)
        #expect(run.violations() == [])
    }

    @Test func `an update that no code has taken when the run ends at once is left to its end`() throws {
        let run = try MachineDriver(.signal("s"))
        try run.send(.update, "u", "7")
        try run.send(.signal, "s", "1")
        #expect(run.machine.isClosed && !run.kinds.contains(.updateRejected))
    }

    // MARK: Patches

    private static let patched = Code.sequence([
        .idempotent("a"), .patched("p", .idempotent("new"), .idempotent("old")), .signal("s"),
        .patched("p", .idempotent("new2"), .idempotent("old2")),
    ])

    @Test
    func `a run that comes to a change for the first time follows it, and that is recorded before anything after it is sent`()
        throws
    {
        let run = try MachineDriver(Self.patched)
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "version.patched p"])
        #expect(run.calls.map(\.subject) == ["a", "new"])
        #expect(run.calls.last?.seq == 3)
        try run.crash(build: "build-b")
        try run.end("new")
        try run.send(.signal, "s", "1")
        #expect(run.calls.last?.subject == "new2")
        try run.end("new2")
        #expect(run.violations() == [])
    }

    @Test func `a run from before a change goes on as it began, at every place that asks`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .idempotent("old"), .signal("s"), .idempotent("old2")]))
        try run.end("a")
        run.code = Self.patched
        try run.crash(build: "build-b")
        #expect(run.calls.last?.subject == "old")
        try run.end("old")
        try run.send(.signal, "s", "1")
        try run.crash()
        #expect(run.calls.last?.subject == "old2")
        #expect(!run.kinds.contains(.versionPatched))
    }

    @Test func `a run that waits where a change was made has passed it`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a"), .signal("s")]))
        try run.end("a")
        run.code = .sequence([.idempotent("a"), .patched("p", .idempotent("new"), .signal("s"))])
        try run.handOver(build: "build-b")
        #expect(run.calls.map(\.subject) == ["a"])
        try run.send(.signal, "s", "1")
        #expect(run.machine.isClosed)
    }

    @Test func `a change that the code no longer asks for is passed over`() throws {
        let run = try MachineDriver(Self.patched)
        try run.end("a")
        run.code = .sequence([.idempotent("a"), .idempotent("new"), .signal("s"), .idempotent("new2")])
        try run.crash(build: "build-b")
        try run.end("new")
        #expect(run.historyText.last == "step.succeeded new")
    }

    // MARK: The deadline

    @Test func `a run that passes its deadline is cancelled, undoes what it did, and fails`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s")]), deadline: .hours(1))
        try run.end("a")
        try run.pass(.hours(1))
        #expect(run.historyText.suffix(2) == ["run.cancel_requested", "undo.started a"])
        try run.end("a")
        #expect(run.kinds.last == .runFailed)
        let code = try run.history.last?.attributes.object()["code"]?.stringValue
        #expect(code == StepFailure.deadlinePassed)
    }

    @Test func `a deadline that passed while nobody was there counts as soon as somebody is`() throws {
        let run = try MachineDriver(.signal("s"), deadline: .hours(1))
        #expect(run.machine.nextDue() == MachineDriver.start + .hours(1))
        run.now = run.now + .hours(2)
        try run.crash()
        #expect(run.kinds.last == .runFailed)
    }

    @Test func `a signal that was accepted before the deadline comes first`() throws {
        let run = try MachineDriver(.signal("s"), deadline: .hours(1))
        run.deliver(.signal, "s", Array("1".utf8))
        run.now = run.now + .hours(2)
        try run.crash()
        #expect(run.kinds.last == .runCompleted)
    }

    @Test func `a run that has ended, or is being cancelled, has no deadline any more`() throws {
        let ending = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .fails]), deadline: .hours(1))
        try ending.end("a")
        try ending.pass(.hours(2))
        #expect(!ending.kinds.contains(.runCancelRequested))
        let cancelled = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .signal("s")]), deadline: .hours(1))
        try cancelled.end("a")
        try cancelled.send(.cancel, "")
        try cancelled.pass(.hours(2))
        try cancelled.end("a")
        #expect(cancelled.kinds.count { $0 == .runCancelRequested } == 1)
        #expect(cancelled.kinds.last == .runCancelled)
    }

    @Test func `a timer until a moment that has passed fires at once`() throws {
        let run = try MachineDriver(.timerUntil("t", MachineDriver.start))
        #expect(run.historyText == ["run.started", "timer.started t", "timer.fired t", "run.completed"])
    }
}
