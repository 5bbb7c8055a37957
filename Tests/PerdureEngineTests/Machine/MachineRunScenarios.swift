import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()
private let refused = MachineDriver.failure(isDefinite: true)

/// The run as a whole: batches, closing, parking, blocking, terminating.
@Suite struct MachineRunScenarios {
    // MARK: Batches

    @Test func `a step of which a fact speaks is not planned in the same batch`() throws {
        let run = try MachineDriver(.sequence([.race([.signal("s"), .read("a")]), .signal("end")]))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        // The read is given up and about to be cancelled; its body ends at the same time.
        let body = try #require(run.running.first)
        run.mailbox.append((run.now, .attemptEnded(body.id, .succeeded(ok))))
        try run.settle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "step.succeeded a"])
        #expect(run.script.seen == ["signal s: {}", "a: cancelled"])
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `nothing is started before what came about is durable`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .idempotent("a")]))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        run.deliver(.signal, "t", ok)
        try run.cycle()
        #expect(run.calls.isEmpty)
        try run.cycle()
        #expect(run.calls.map(\.seq) == [3])
    }

    @Test func `several facts of one step are taken one after the other`() throws {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.crash()
        run.deliverResolution("a", .happened)
        run.deliverResolution("a", .happened)
        run.deliver(.retry, "a")
        try run.settle()
        #expect(run.kinds.count { $0 == .stepResolved } == 1)
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    // MARK: Closing

    @Test func `a run that ends with a value, an error or a cancellation closes as such`() throws {
        let completed = try MachineDriver(.sequence([]))
        #expect(completed.historyText == ["run.started", "run.completed"])
        let failed = try MachineDriver(.fails)
        #expect(failed.historyText == ["run.started", "run.failed"])
        let cancelled = try MachineDriver(.signal("s"))
        try cancelled.send(.cancel)
        #expect(cancelled.historyText == ["run.started", "run.cancel_requested", "run.completed"].dropLast() + ["run.cancelled"])
    }

    @Test func `the final event comes with the last of what was given up, never before it`() throws {
        let run = try MachineDriver(.race([.signal("s"), .timer("t", .days(1)), .idempotent("a")]))
        try run.send(.signal, "s", "1")
        #expect(run.historyText.last == "timer.cancelled t")
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.completed"])
        #expect(run.violations() == [])
    }

    @Test func `what comes in when the code is over is said to be undelivered`() throws {
        let run = try MachineDriver(.read("a"))
        run.mailbox.append((run.now, .attemptEnded(try #require(run.running.first).id, .succeeded(ok))))
        try run.cycle()
        run.deliver(.signal, "s", ok)
        run.deliver(.cancel)
        try run.settle()
        #expect(run.kinds.suffix(3) == [.signalUndelivered, .operatorAction, .runCompleted])
        #expect(run.violations() == [])
    }

    @Test func `messages that can only be refused do not keep a run from closing`() throws {
        let run = try MachineDriver(.read("a"))
        run.mailbox.append((run.now, .attemptEnded(try #require(run.running.first).id, .succeeded(ok))))
        for _ in 0..<3 { run.deliver(.decision, "a", ok) }
        try run.settle()
        #expect(run.machine.isClosed)
        #expect(run.kinds.count { $0 == .operatorAction } == 3)
    }

    // MARK: Parking and blocking

    @Test func `a run is parked only when nothing but a person can move it`() throws {
        let run = try MachineDriver(.parallel([.atMostOnce("a"), .timer("t", .hours(1)), .read("r")]))
        try run.end("a", unclear)
        try run.end("r")
        #expect(!run.kinds.contains(.runParked))
        try run.pass(.hours(1))
        #expect(run.kinds.suffix(2) == [.timerFired, .runParked])
        try run.crash()
        #expect(run.kinds.last == .runResumed, "parked once")
        try run.resolve("a", .happened)
        #expect(run.machine.isClosed)
    }

    @Test func `a run that was blocked goes on with a build that fits`() throws {
        let run = try MachineDriver(.idempotent("a"))
        // What a block commits: intents for what is being executed, and why the run does not fit.
        let intents = run.machine.handOverDrafts(now: run.now)
        var head = run.head
        let end = head.append(contentsOf: intents + [EventDraft(.runBlocked)], run: run.identity.id.description, now: run.now)
        let fitting = MachineDriver(.idempotent("a"), build: "build-b", history: run.history + end, calls: run.calls)
        try fitting.handOver()
        #expect(fitting.historyText.suffix(3) == ["run.resumed", "run.unblocked", "step.intended a"])
        try fitting.end("a")
        #expect(fitting.violations() == [])
    }

    @Test func `a process that goes on with a run says so with its first event, not when it only wakes up`() throws {
        let run = try MachineDriver(.signal("s"))
        try run.handOver()
        try run.evict()
        #expect(run.kinds == [.runStarted])
        try run.send(.signal, "s", "1")
        #expect(run.kinds == [.runStarted, .runResumed, .signalReceived, .runCompleted])
    }

    @Test func `a history that does not fit is told, whatever is wrong with it`() throws {
        let drafts: [EventDraft] = [
            EventDraft(.stepSucceeded, subject: "b", output: .inline(ok)), EventDraft(.stepSucceeded, subject: "a"),
            EventDraft(.stepSucceeded, subject: "a", output: .spilled(digest: [], size: 1)),
            EventDraft(.stepSucceeded, subject: "a", input: .inline(ok), output: .inline(ok)),
            EventDraft(.stepResolved, subject: "a"), EventDraft(.stepCancelled, subject: "a"),
            EventDraft(.stepCancelled, subject: "a", attributes: Attributes(storedText: "[")),
            EventDraft(.approvalRequested, subject: "a", input: .inline(ok)), EventDraft(.approvalDecided, subject: "a"),
            EventDraft(.approvalConsumed, subject: "a"), EventDraft(.timerFired, subject: "a"),
            EventDraft(.timerStarted, subject: "a"),
            EventDraft(.questionAnswered, subject: "a"), EventDraft(.undoStarted, subject: "a"), EventDraft(.runForked),
            EventDraft(.childStarted, subject: "a"), EventDraft(.signalReceived, subject: "a"),
        ]
        for draft in drafts {
            let run = try MachineDriver(.sequence([.idempotent("a"), .timer("t", .hours(1))]))
            #expect(throws: Divergence.self, "\(draft.kind)") { try run.record(draft) }
        }
    }

    @Test func `events in an order that cannot be are told, not trapped on`() throws {
        let inDoubt = EventDraft(.stepInDoubt, subject: "a"), intended = EventDraft(.stepIntended, subject: "a")
        let failed = EventDraft(.stepAttemptFailed, subject: "a"), again = EventDraft(.stepResolved, subject: "a")
        let resolved = EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "did_not_happen"])
        for drafts in [
            [inDoubt, intended], [inDoubt, failed], [failed, inDoubt], [failed, failed], [resolved], [inDoubt, again],
        ] {
            let run = try MachineDriver(.idempotent("a"))
            #expect(throws: Divergence.self, "\(drafts.map(\.kind))") { for draft in drafts { try run.record(draft) } }
        }
        let run = try MachineDriver(.race([.signal("s"), .idempotent("a", undo: .idempotent)]))
        try run.send(.signal, "s", "1")
        try run.end("a")
        #expect(throws: Divergence.self) { try run.record(EventDraft(.stepSucceeded, subject: "a", output: .inline(ok))) }
    }

    // MARK: Terminating

    @Test func `a terminated run leaves every open step in doubt or cancelled, and runs no code`() throws {
        let run = try MachineDriver(
            .parallel([
                .idempotent("sent"), .atMostOnce("failed"), .read("read"),
                .atMostOnce("approval", approval: .required(by: .anyone, within: .hours(1))),
                .timer("t", .hours(1)),
            ]))
        try run.end("failed", refused)
        try run.send(.terminate, "", #""enough""#)
        #expect(
            run.historyText.suffix(5) == [
                "step.in_doubt sent", "step.cancelled failed", "step.cancelled read", "step.cancelled approval", "run.terminated",
            ])
        #expect(run.script.seen == [])
        #expect(run.violations() == [])
    }

    @Test func `a run that is terminated while a probe runs keeps its doubt`() throws {
        let run = try MachineDriver(.atMostOnce("a", probe: true))
        try run.crash()
        try run.send(.terminate)
        #expect(run.kinds.suffix(2) == [.stepInDoubt, .runTerminated])
        #expect(run.kinds.count { $0 == .stepInDoubt } == 1)
        try run.endProbe("a", .happened(ok))
        #expect(run.kinds.last == .runTerminated)
        try run.record(
            EventDraft(.stepResolved, subject: "a", attributes: ["resolution": "happened"], output: .inline(ok)))
        #expect(run.violations() == [])
    }

    @Test func `a terminate waits for what came about before it`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent), .atMostOnce("b")]))
        run.mailbox.append((run.now, .attemptEnded(try #require(run.running.first).id, .succeeded(ok))))
        run.deliver(.signal, "s", ok)
        run.deliver(.terminate)
        run.deliver(.signal, "t", ok)
        run.deliver(.terminate)
        run.refusals = 1
        try run.settle()
        #expect(run.historyText.suffix(2) == ["step.cancelled b", "run.terminated"])
        #expect(run.calls.count == 1)
        #expect(!run.kinds.contains(.stepInDoubt))
        #expect(run.violations() == [])
    }

    @Test func `a terminated unwinding leaves its undo in doubt, and the step that waits for it as it is`() throws {
        let run = try MachineDriver(
            .sequence([.race([.signal("s"), .atMostOnce("a", probe: true, undo: .idempotent)]), .signal("end")]))
        try run.crash()
        try run.send(.signal, "s", "1")
        try run.endProbe("a", .happened(ok))
        try run.send(.terminate)
        #expect(run.historyText.suffix(2) == ["undo.in_doubt a", "run.terminated"])
        #expect(run.violations() == [])
    }

    @Test func `an undo that has begun is in doubt when its run is terminated, whatever came of its attempts`() throws {
        for undo in [StepRequest.Undo.idempotent, .atMostOnce(hasProbe: false)] {
            let run = try MachineDriver(.sequence([.idempotent("a", undo: undo), .fails]))
            try run.end("a")
            try run.end("a", MachineDriver.failure(isDefinite: true))
            #expect(run.kinds.last == .undoAttemptFailed)
            try run.send(.terminate)
            #expect(run.historyText.suffix(2) == ["undo.in_doubt a", "run.terminated"])
            #expect(run.violations() == [])
        }
    }

    @Test func `a run that was watched says that it does no harm, which puts nothing in doubt`() throws {
        let run = try MachineDriver(.idempotent("a", policy: StepPolicy(retry: .never, intent: .always)))
        let attributes: Attributes = ["build": "build-a", "node": .string(run.node), "watched": true]
        try run.record(EventDraft(.runResumed, attributes: attributes))
        run.mailbox.append((run.now, .survived))
        run.mailbox.append((run.now, .survived))
        try run.settle()
        #expect(run.historyText.suffix(2) == ["run.resumed", "run.resumed"], "said once")
        #expect(!run.machine.isWatched)
        try run.end("a", MachineDriver.failure(isDefinite: true))
        #expect(run.historyText.suffix(2) == ["step.attempt_failed a", "run.parked"], "it was sent by one owner, once")
        #expect(run.violations() == [])
    }

    @Test func `an approval that nobody waits for is cancelled when the run is terminated`() throws {
        let run = try MachineDriver(
            .sequence([
                .race([.signal("s"), .atMostOnce("a", approval: .required(by: .anyone, within: .hours(1)))]), .signal("end"),
            ]))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        run.deliver(.terminate)
        try run.settle()
        #expect(run.historyText.suffix(2) == ["approval.cancelled a", "run.terminated"])
        #expect(run.violations() == [])
    }
}
