import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()
private let refused = MachineDriver.failure(isDefinite: true)
private let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
private let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))

/// What becomes of what the code no longer wants. A signal wins a race against it; the run then waits for another one.
@Suite struct MachineCancellationScenarios {
    @Test(arguments: [Code.read("a"), .idempotent("a"), .atMostOnce("a"), .timer("a", .days(1)), .question("a"), .child("a")])
    func `what was given up before the run came to rest leaves no trace`(_ code: Code) throws {
        let run = try MachineDriver(.recovered(.parallel([code, .fails])))
        #expect(run.historyText == ["run.started", "run.completed"])
        #expect(run.calls.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a read ends at once, its body is told, and nothing is sent again`() throws {
        let run = try raced(.read("a"))
        try run.send(.signal, "s", "1")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
        #expect(run.historyText.suffix(2) == ["signal.received s", "step.cancelled a"])
        #expect(run.told == ["a"])
        try run.end("a")
        #expect(run.kinds.last == .stepCancelled)
    }

    @Test func `a read ends at once after a crash too`() throws {
        let run = try raced(.read("a"))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.kinds.last == .signalReceived)
        try run.crash()
        #expect(run.kinds.suffix(2) == [.runResumed, .stepCancelled])
        #expect(run.calls.count == 1)
    }

    @Test(arguments: [
        Code.idempotent("a"), .idempotent("a", policy: StepPolicy(intent: .always)), .atMostOnce("a"),
    ])
    func `a step that this process never sent is cancelled`(_ code: Code) throws {
        let run = try MachineDriver(.race([.sequence([.signal("s")]), .sequence([.signal("t"), code])]))
        // Both in one batch: the step is asked for, comes to rest, and is given up before anybody could send it.
        run.deliver(.signal, "t", ok)
        run.deliver(.signal, "s", ok)
        try run.settle()
        #expect(run.historyText.dropFirst() == ["signal.received t", "signal.received s", "step.cancelled a", "run.completed"])
        #expect(run.calls.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a step is cancelled when every attempt failed definitely`() throws {
        for code in [Code.idempotent("a"), .atMostOnce("a")] {
            let waiting = try raced(code)
            try waiting.end("a", refused)
            try waiting.send(.signal, "s", "1")
            #expect(waiting.kinds.last == .stepCancelled)
            let running = try raced(code)
            try running.send(.signal, "s", "1")
            #expect(running.told == ["a"])
            #expect(running.kinds.last == .signalReceived)
            try running.end("a", refused)
            #expect(running.kinds.last == .stepCancelled)
            #expect(running.script.seen == ["signal s: 1", "a: cancelled"])
        }
    }

    @Test func `a dead letter that is given up is cancelled`() throws {
        let run = try raced(.idempotent("a", policy: .retry(.never)))
        try run.end("a", refused)
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .stepCancelled)
    }

    @Test(arguments: [Code.idempotent("a", undo: .idempotent), .atMostOnce("a", undo: .idempotent)])
    func `a step that was given up and happened is undone before its wait ends`(_ code: Code) throws {
        let run = try raced(code)
        try run.send(.signal, "s", "1")
        #expect(run.script.seen == ["signal s: 1"])
        try run.end("a")
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "undo.started a"])
        #expect(run.script.seen == ["signal s: 1"])
        try run.crash()
        try run.end("a")
        #expect(run.historyText.last == "undo.succeeded a")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test(arguments: [Code.idempotent("a"), .atMostOnce("a")])
    func `an irreversible step that was given up and happened stays`(_ code: Code) throws {
        let run = try raced(code)
        try run.send(.signal, "s", "1")
        try run.end("a")
        #expect(run.historyText.last == "step.succeeded a")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
    }

    @Test func `an idempotent step that was given up gets the attempts that settle it`() throws {
        let run = try raced(.idempotent("a"))
        try run.send(.signal, "s", "1")
        try run.end("a", unclear)
        #expect(run.kinds.last == .stepAttemptFailed)
        try run.pass(.seconds(1))
        #expect(run.calls.count == 2)
        try run.crash()
        #expect(run.calls.count == 3)
        try run.end("a", rejected)
        #expect(run.kinds.last == .stepCancelled)
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `a definite failure that may pass does not clear up an attempt before it`() throws {
        let unanswered = try raced(.idempotent("a", undo: .idempotent))
        try unanswered.end("a", unclear)
        try unanswered.pass(.seconds(1))
        try unanswered.send(.signal, "s", "1")
        let cutOff = try raced(.idempotent("a", undo: .idempotent))
        try cutOff.crash()
        try cutOff.send(.signal, "s", "1")
        for run in [unanswered, cutOff] {
            try run.end("a", refused)
            #expect(run.kinds.last == .stepAttemptFailed)
            try run.crash()
            #expect(run.kinds.last != .stepCancelled)
            try run.passUntilDue()
            try run.end("a")
            #expect(run.historyText.suffix(2) == ["step.succeeded a", "undo.started a"])
            try run.end("a")
            #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
        }
    }

    @Test func `a refusal for good clears up every attempt under the same key`() throws {
        let run = try raced(.idempotent("a", undo: .idempotent))
        try run.end("a", unclear)
        try run.pass(.seconds(1))
        try run.send(.signal, "s", "1")
        try run.end("a", rejected)
        #expect(run.kinds.last == .stepCancelled)
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
    }

    @Test func `a step that happened in a later attempt is undone, also after a crash`() throws {
        let run = try raced(.idempotent("a", undo: .idempotent))
        try run.end("a", unclear)
        try run.send(.signal, "s", "1")
        try run.pass(.seconds(1))
        try run.end("a")
        try run.crash()
        try run.end("a")
        #expect(run.historyText.last == "undo.succeeded a")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
    }

    @Test func `after a crash another build does not cancel what the one before may have sent`() throws {
        let run = try raced(.idempotent("a"))
        try run.send(.signal, "s", "1")
        try run.crash(build: "build-b")
        #expect(run.historyText.suffix(2) == ["run.resumed", "step.intended a"])
        #expect(run.isRunning("a"), "only its settling tells whether it happened")
    }

    @Test func `an at-most-once step in doubt that was given up waits for its settling`() throws {
        let run = try raced(.atMostOnce("a", undo: .idempotent))
        try run.end("a", unclear)
        try run.send(.signal, "s", "1")
        #expect(run.script.seen == ["signal s: 1"])
        run.now = run.now + .minutes(6)
        try run.resolve("a", .didNotHappen)
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
        #expect(run.calls.count == 1)
    }

    @Test func `the probe of a step that was given up may find that it happened`() throws {
        let run = try raced(.atMostOnce("a", probe: true, undo: .idempotent))
        try run.end("a", unclear)
        try run.send(.signal, "s", "1")
        try run.endProbe("a", .happened(ok))
        #expect(run.historyText.suffix(2) == ["step.resolved a", "undo.started a"])
        try run.end("a")
        #expect(run.script.seen == ["signal s: 1", "a: cancelled"])
    }

    @Test func `an intent that became durable after the step was given up is never sent, nor doubted after a crash`() throws {
        let run = try MachineDriver(
            .sequence([.race([.sequence([.signal("t"), .atMostOnce("a")]), .signal("s")]), .signal("end")]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "step.intended a"])
        try run.crash()
        #expect(run.historyText.suffix(2) == ["run.resumed", "step.cancelled a"])
        #expect(run.calls.isEmpty)
    }

    // MARK: Waits

    @Test func `timers, questions and signals end at once and are ended by an event`() throws {
        let run = try raced(.parallel([.timer("a", .days(1)), .question("q"), .signal("u")]))
        #expect(run.historyText.suffix(2) == ["timer.started a", "question.asked q"])
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.script.seen == ["signal s: {}", "timer a: cancelled", "question q: cancelled", "signal u: cancelled"])
        try run.crash()
        #expect(run.historyText.suffix(3) == ["run.resumed", "timer.cancelled a", "question.cancelled q"])
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `waits that are given up while their first event is on its way are ended by an event`() throws {
        let run = try MachineDriver(
            .race([.sequence([.signal("t"), .parallel([.timer("a", .days(1)), .question("q")])]), .signal("s")]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(3) == ["signal.received s", "timer.started a", "question.asked q"])
        try run.crash()
        #expect(run.historyText.suffix(3) == ["timer.cancelled a", "question.cancelled q", "run.completed"])
        #expect(run.violations() == [])
    }

    @Test func `a wait that ends and is given up in one batch is ended once`() throws {
        let run = try raced(.parallel([.timer("a", .hours(1)), .question("q", within: .hours(2)), .question("r")]))
        run.deliver(.signal, "s", ok)
        run.deliver(.answer, "r", ok)
        run.now = run.now + .hours(3)
        try run.settle()
        #expect(
            run.historyText.suffix(4) == ["signal.received s", "question.answered r", "timer.fired a", "question.expired q"])
        #expect(run.script.seen.count == 4)
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    // MARK: Approvals

    @Test func `an approval ends at once and is ended by an event`() throws {
        let run = try raced(.atMostOnce("a", approval: approval))
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.script.seen == ["signal s: {}", "a: cancelled"])
        try run.crash()
        #expect(run.historyText.last == "approval.cancelled a")
        #expect(run.calls.isEmpty)
    }

    @Test func `an approval that is given up while its request is on its way is ended by an event`() throws {
        let run = try MachineDriver(.race([.sequence([.signal("t"), .atMostOnce("a", approval: approval)]), .signal("s")]))
        run.deliver(.signal, "t", ok)
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "approval.requested a"])
        try run.settle()
        #expect(run.historyText.suffix(2) == ["approval.cancelled a", "run.completed"])
        #expect(run.violations() == [])
    }

    @Test(arguments: [true, false])
    func `a decision in the batch that gives the step up releases nothing`(_ approve: Bool) throws {
        let run = try raced(.atMostOnce("a", approval: approval))
        run.deliver(.signal, "s", ok)
        run.deliverDecision("a", approve: approve)
        try run.cycle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "approval.decided a"])
        try run.crash()
        #expect(run.kinds.last == (approve ? .approvalCancelled : .runResumed))
        #expect(run.calls.isEmpty)
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `a decision and then the end of the wait in one batch release nothing`() throws {
        let run = try raced(.atMostOnce("a", approval: approval))
        run.deliverDecision("a")
        run.deliver(.signal, "s", ok)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["approval.decided a", "signal.received s", "approval.cancelled a"])
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `an approval that expires in the batch that gives the step up is over`() throws {
        let run = try raced(.atMostOnce("a", approval: approval))
        run.deliver(.signal, "s", ok)
        run.now = run.now + .hours(1)
        try run.settle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "approval.expired a"])
        #expect(run.script.seen.count == 2)
    }

    @Test func `a consumed approval whose step was given up in the same batch is not used`() throws {
        let run = try raced(.atMostOnce("a", approval: approval))
        run.deliverDecision("a")
        try run.cycle()
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(3) == ["signal.received s", "approval.consumed a", "step.intended a"])
        try run.crash()
        #expect(run.historyText.last == "step.cancelled a")
        #expect(run.calls.isEmpty)
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    /// The code against a signal; whoever loses is given up, and the run then waits for `end`.
    private func raced(_ code: Code) throws -> MachineDriver {
        try MachineDriver(.sequence([.race([.signal("s"), code]), .signal("end")]))
    }
}
