import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done

/// Children: started and ended by events of their parent, which never closes before them.
@Suite struct MachineChildScenarios {
    /// A signal wins a race against the code; the run then waits for another one.
    private func raced(_ code: Code) throws -> MachineDriver {
        try MachineDriver(.sequence([.race([.signal("s"), code]), .signal("end")]))
    }

    private func messages(_ run: MachineDriver) -> [InboxKind] { run.deliveries.map(\.kind) }

    @Test func `a child is made with the event that starts it, and its end answers the code`() throws {
        let run = try MachineDriver(.child("c"))
        #expect(run.historyText == ["run.started", "child.started c"])
        let child = try #require(run.startedChildren.first)
        #expect(child.id == .child(of: run.identity.id, namespace: "default", subject: "c"))
        #expect(child.workflow == "work" && child.version == "1" && child.input == Code.input("c"))
        #expect(child.starter == MachineDriver.owner && child.parent == ParentLink(run: run.identity.id, subject: "c"))
        try run.crash()
        #expect(run.startedChildren.count == 1)
        try run.endChild("c", output: "7")
        #expect(run.historyText.suffix(2) == ["child.completed c", "run.completed"])
        #expect(run.script.seen == ["child c: 7"])
        #expect(run.violations() == [])
    }

    @Test func `a child that fails throws its failure`() throws {
        let run = try MachineDriver(.child("c"))
        try run.endChild("c", .runFailed)
        #expect(run.historyText.suffix(2) == ["child.failed c", "run.failed"])
        #expect(run.script.seen.first == "child c: broken")
        #expect(run.violations() == [])
    }

    @Test(arguments: [EventKind.runCancelled, .runTerminated])
    func `a child that somebody else ends is a failure with a code of its own`(_ kind: EventKind) throws {
        let run = try MachineDriver(.recovered(.child("c")))
        try run.endChild("c", kind)
        let isCancelled = kind == .runCancelled
        #expect(run.kinds.suffix(2) == [isCancelled ? .childCancelled : .childFailed, .runCompleted])
        #expect(run.script.seen == ["child c: \(isCancelled ? "child_cancelled" : "child_terminated")"])
        #expect(run.violations() == [])
    }

    @Test func `a child that is given up is told to end once, and its end is waited for`() throws {
        let run = try raced(.child("c"))
        try run.send(.signal, "s", "1")
        #expect(run.historyText.last == "child.cancel_requested c")
        #expect(run.deliveries.map(\.run) == run.startedChildren.map(\.id) && messages(run) == [.cancel])
        try run.crash()
        #expect(messages(run) == [.cancel])
        #expect(run.script.seen == ["signal s: 1"])
        try run.endChild("c", .runCancelled)
        #expect(run.script.seen == ["signal s: 1", "child c: cancelled"])
        #expect(run.violations() == [])
    }

    @Test(arguments: [EventKind.runCompleted, .runFailed, .runTerminated])
    func `a child that was given up and ends otherwise is cancelled to the code`(_ kind: EventKind) throws {
        let run = try raced(.child("c"))
        try run.send(.signal, "s", "1")
        try run.endChild("c", kind)
        #expect(run.script.seen.last == "child c: cancelled")
        try run.send(.signal, "end", "1")
        #expect(run.kinds.last == .runCompleted)
        #expect(run.violations() == [])
    }

    @Test func `a child that was given up and completed is undone before its wait ends`() throws {
        let run = try raced(.child("c", undo: .idempotent))
        try run.send(.signal, "s", "1")
        try run.endChild("c", output: "7")
        #expect(run.historyText.suffix(2) == ["child.completed c", "undo.started c"])
        #expect(run.running.first?.attempt.output == Array("7".utf8))
        try run.crash()
        #expect(run.script.seen == ["signal s: 1"])
        try run.end("c")
        #expect(run.script.seen == ["signal s: 1", "child c: cancelled"])
        #expect(run.violations() == [])
    }

    @Test func `a child that completed in the batch that gives it up is not told to end`() throws {
        let run = try raced(.child("c", undo: .idempotent))
        run.deliver(.signal, "s", ok)
        run.deliverEnd(of: "c")
        try run.settle()
        #expect(run.historyText.suffix(3) == ["signal.received s", "child.completed c", "undo.started c"])
        #expect(run.deliveries.isEmpty)
        try run.end("c")
        #expect(run.violations() == [])
    }

    @Test(arguments: [ChildPolicy.cancel, .abandon])
    func `a child that is given up before its start is never made`(_ policy: ChildPolicy) throws {
        let run = try MachineDriver(
            .race([.signal("s"), .sequence([.signal("t"), .child("c", policy: policy)])]))
        run.deliver(.signal, "t", ok)
        run.deliver(.signal, "s", ok)
        try run.settle()
        #expect(run.historyText.dropFirst() == ["signal.received t", "signal.received s", "child.cancelled c", "run.completed"])
        #expect(run.startedChildren.isEmpty && run.deliveries.isEmpty)
        #expect(run.violations() == [])
    }

    @Test(arguments: [ChildPolicy.cancel, .abandon])
    func `a child that is given up while its start is on its way is told to end or left alone`(_ policy: ChildPolicy) throws {
        let run = try raced(.sequence([.signal("t"), .child("c", policy: policy)]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "child.started c"])
        try run.crash()
        #expect(run.historyText.last == (policy == .cancel ? "child.cancel_requested c" : "child.cancelled c"))
        #expect(messages(run) == (policy == .cancel ? [.cancel] : []))
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `an abandoned child goes on when it is given up, and the wait ends at once`() throws {
        let run = try raced(.child("c", undo: .idempotent, policy: .abandon))
        try run.send(.signal, "s", "1")
        #expect(run.script.seen == ["signal s: 1", "child c: cancelled"])
        #expect(run.historyText.last == "child.cancelled c" && run.deliveries.isEmpty)
        try run.crash()
        try run.endChild("c")
        #expect(run.historyText.last == "run.resumed", "what an abandoned child comes to is nobody's business")
        #expect(run.inbox.isEmpty)
        try run.send(.signal, "end", "1")
        #expect(run.kinds.last == .runCompleted)
        #expect(run.violations() == [])
    }

    @Test func `an abandoned child that ends in the batch that gives it up is not called abandoned`() throws {
        let run = try raced(.child("c", undo: .idempotent, policy: .abandon))
        run.deliver(.signal, "s", ok)
        run.deliverEnd(of: "c")
        try run.settle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "child.completed c"])
        #expect(run.script.seen == ["signal s: {}", "child c: cancelled"])
        #expect(run.violations() == [])
    }

    @Test func `an abandoned child that is waited for answers like any other`() throws {
        let run = try MachineDriver(.sequence([.child("c", undo: .idempotent, policy: .abandon), .fails]))
        try run.endChild("c")
        #expect(run.historyText.suffix(2) == ["child.completed c", "undo.started c"])
        try run.end("c")
        #expect(run.violations() == [])
    }

    @Test func `a detached child answers with its id and is never heard of again`() throws {
        let run = try MachineDriver(.sequence([.child("c", policy: .abandon, isDetached: true), .fails]))
        let child = try #require(run.startedChildren.first)
        #expect(run.historyText == ["run.started", "child.started c", "run.failed"])
        #expect(run.script.seen.first == "child c: \"\(child.id)\"")
        #expect(child.parent.isDetached)
        #expect(run.violations() == [])
    }

    @Test func `a detached child that is given up while its start is on its way has started`() throws {
        let run = try raced(.sequence([.signal("t"), .child("c", policy: .abandon, isDetached: true)]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.settle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "child.started c"])
        #expect(run.script.seen.last == "child c: cancelled")
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `a cancelled run cancels its children and closes after them`() throws {
        let run = try MachineDriver(.parallel([.child("c"), .child("d")]))
        try run.send(.cancel)
        #expect(run.historyText.suffix(3) == ["run.cancel_requested", "child.cancel_requested c", "child.cancel_requested d"])
        try run.endChild("d", .runCancelled)
        try run.crash()
        #expect(run.historyText.last == "run.resumed")
        try run.endChild("c", .runCancelled)
        #expect(run.historyText.suffix(2) == ["child.cancelled c", "run.cancelled"])
        #expect(run.violations() == [])
    }

    @Test func `completed children are undone in one row with the steps`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("a", undo: .idempotent), .child("c", undo: .idempotent), .child("keep"), .fails]))
        try run.end("a")
        try run.endChild("c")
        try run.endChild("keep")
        #expect(run.historyText.last == "undo.started c")
        try run.crash()
        try run.end("c")
        #expect(run.historyText.last == "undo.started a")
        try run.end("a")
        #expect(run.kinds.last == .runFailed)
        let keys = run.calls.filter { $0.subject == "c" }.map(\.key)
        let own = IdempotencyKey.derive(namespace: "default", run: run.identity.id.description, subject: "c", generation: 0)
        #expect(Set(keys) == [IdempotencyKey.undo(of: own)])
        #expect(run.violations() == [])
    }

    @Test func `a run whose only open thing is the undo of a child parks when that is stuck`() throws {
        let run = try raced(.child("c", undo: .idempotent))
        try run.send(.signal, "s", "1")
        try run.send(.signal, "end", "1")
        try run.endChild("c")
        try run.end("c", MachineDriver.failure(isDefinite: true, isRetryable: false))
        #expect(run.historyText.suffix(2) == ["undo.failed c", "run.parked"])
        try run.send(.retry, "c")
        try run.end("c")
        #expect(run.violations() == [])
    }

    // MARK: Termination

    @Test func `a terminated run terminates its children but the abandoned ones`() throws {
        let run = try MachineDriver(
            .parallel([.child("c"), .child("own", policy: .abandon), .race([.signal("s"), .child("told")])]))
        try run.send(.signal, "s", "1")
        try run.send(.terminate, "", #""enough""#)
        #expect(
            run.historyText.suffix(4) == ["child.cancelled c", "child.cancelled own", "child.cancelled told", "run.terminated"])
        let sent = run.deliveries.filter { $0.kind == .terminate }
        #expect(sent.map(\.run) == run.startedChildren.filter { $0.parent.subject != "own" }.map(\.id))
        #expect(sent.allSatisfy { $0.payload == Array(#""enough""#.utf8) && $0.sender == Principal(.human, "ann") })
        #expect(run.script.seen == ["signal s: 1"])
        #expect(run.violations() == [])
    }

    @Test func `children that were not started yet end with a terminated run`() throws {
        let run = try MachineDriver(.sequence([.signal("t"), .parallel([.child("c"), .child("own", policy: .abandon)])]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.terminate)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["child.cancelled c", "child.cancelled own", "run.terminated"])
        #expect(run.startedChildren.isEmpty && run.deliveries.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a child that has ended is taken in before its parent is terminated`() throws {
        let run = try MachineDriver(.child("c"))
        run.deliver(.terminate)
        run.deliverEnd(of: "c")
        try run.settle()
        #expect(run.historyText.contains("child.completed c") && !run.historyText.contains("child.cancelled c"))
        #expect(run.violations() == [])
    }

    // MARK: What does not fit

    @Test func `an end that nobody waits for, or that another one tells, changes nothing`() throws {
        let run = try MachineDriver(.child("c"))
        run.deliverEnd(of: "c", by: Principal(.human, "mallory"))
        run.deliver(.childResult, "unknown", ok)
        try run.settle()
        #expect(run.historyText == ["run.started", "child.started c"])
        #expect(run.inbox.isEmpty)
    }

    @Test func `an end that cannot be read is a failure`() throws {
        let run = try MachineDriver(.child("c"))
        run.deliver(.childResult, "c", Array("no JSON".utf8), by: .run(run.startedChildren[0].id))
        try run.settle()
        #expect(run.script.seen.first == "child c: undecodable")
        #expect(run.violations() == [])
    }

    @Test func `a workflow that is not registered here keeps the run waiting for another build`() throws {
        let run = try MachineDriver(.parallel([.timer("t", .hours(1)), .child("c", version: nil)]))
        #expect(run.historyText == ["run.started", "timer.started t"])
        #expect(run.obstacle?.kind == .workflowUnknown && run.obstacle?.subject == "c")
        #expect(run.startedChildren.isEmpty)
    }

    @Test func `what runs beside a workflow that is not registered here comes to its end first`() throws {
        let run = try MachineDriver(.parallel([.atMostOnce("a"), .child("c", version: nil)]))
        #expect(run.running.count == 1 && run.obstacle == nil)
        try run.end("a")
        #expect(run.historyText == ["run.started", "step.intended a", "step.succeeded a"])
        #expect(run.obstacle?.kind == .workflowUnknown)
    }

    @Test func `a start that is recorded needs no registration`() throws {
        let run = try MachineDriver(.child("c"))
        let other = MachineDriver(.child("c", version: nil), build: "build-b", history: run.history, calls: [])
        try other.crash()
        #expect(other.obstacle == nil)
        try other.endChild("c")
        #expect(other.kinds.last == .runCompleted)
    }

    // Promise: 27
    @Test func `a recorded child that the code does not ask for is told`() throws {
        let started: Attributes = ["workflow": "work", "version": "1", "run": .string(MachineDriver.childID)]
        let input = StoredValue.inline(Code.input("c"))
        let drafts = [
            EventDraft(.childStarted, subject: "d", attributes: started, input: input),
            EventDraft(
                .childStarted, subject: "c", attributes: ["workflow": "other", "run": .string(MachineDriver.childID)],
                input: input),
            EventDraft(.childStarted, subject: "c", attributes: started, input: .inline(ok)),
            EventDraft(.childStarted, subject: "c", attributes: started),
            EventDraft(.childStarted, subject: "c", attributes: ["workflow": "work"], input: input),
            EventDraft(.childCompleted, subject: "c", output: .inline(ok)), EventDraft(.childCancelled, subject: "c"),
            EventDraft(.childCancelRequested, subject: "c"), EventDraft(.stepSucceeded, subject: "c", output: .inline(ok)),
        ]
        for draft in drafts {
            let run = try MachineDriver(.sequence([.signal("t"), .child("c")]))
            run.deliver(.signal, "t", ok)
            try run.cycle()
            #expect(throws: Divergence.self, "\(draft.kind) \(draft.attributes)") { try run.record(draft) }
        }
    }

    @Test func `events of a child in an order that cannot be are told, not trapped on`() throws {
        for draft in [
            EventDraft(.childStarted, subject: "c", attributes: ["workflow": "work"], input: .inline(Code.input("c"))),
            EventDraft(.childCancelRequested, subject: "c"), EventDraft(.childCompleted, subject: "c"),
            EventDraft(.childCancelled, subject: "c", attributes: ["abandoned": true]),
        ] {
            let run = try MachineDriver(.child("c"))
            #expect(throws: Divergence.self, "\(draft.kind)") { try run.record(draft) }
        }
        let run = try raced(.child("c", undo: .idempotent))
        try run.send(.signal, "s", "1")
        #expect(throws: Divergence.self) { try run.record(EventDraft(.childCancelRequested, subject: "c")) }
        let undoing = try raced(.child("c", undo: .idempotent))
        try undoing.send(.signal, "s", "1")
        try undoing.endChild("c")
        #expect(throws: Divergence.self) { try undoing.record(EventDraft(.childCompleted, subject: "c", output: .inline(ok))) }
    }

    // MARK: Being a child

    @Test func `the end of a run goes to its parent with the event that closes it`() throws {
        let parent = ParentLink(run: RunID(milliseconds: 9, random: (9, 9)), subject: "scope/work#2")
        let done = try MachineDriver(.read("a"), parent: parent)
        try done.end("a")
        let failed = try MachineDriver(.fails, parent: parent), cancelled = try MachineDriver(.signal("s"), parent: parent)
        try cancelled.send(.cancel)
        let terminated = try MachineDriver(.signal("s"), parent: parent)
        try terminated.send(.terminate, "", #""enough""#)
        let kinds: [EventKind] = [.runCompleted, .runFailed, .runCancelled, .runTerminated]
        for (run, kind) in zip([done, failed, cancelled, terminated], kinds) {
            #expect(run.deliveries.count == 1)
            let told = try #require(run.deliveries.first)
            #expect(told.run == parent.run && told.name == parent.subject && told.kind == .childResult)
            #expect(told.sender == .run(run.identity.id))
            let result = try #require(told.payload.flatMap(ChildResult.init))
            #expect(result.kind == kind && result.run == run.identity.id)
        }
        let output = try #require(done.deliveries[0].payload.flatMap(ChildResult.init)).output
        #expect(output == Array("null".utf8))
        let event = try #require(failed.deliveries[0].payload.flatMap(ChildResult.init)).event(subject: "c", at: .epoch)
        #expect(event.kind == .childFailed)
        #expect(try event.attributes.object()["code"] == "author")
        let detached = try MachineDriver(.fails, parent: ParentLink(run: parent.run, subject: "c", isDetached: true))
        #expect(detached.deliveries.isEmpty)
    }
}

extension MachineDriver {
    static let childID = "0193a5b0-0000-7000-8000-000000000001"
}
