import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()
private let refused = MachineDriver.failure(isDefinite: true)
private let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
private let approval = ApprovalRequirement.required(by: .role("ops"), within: .hours(1))

/// What people decide: steps in doubt, dead letters, approvals, questions.
@Suite struct MachinePersonScenarios {
    // MARK: In doubt

    @Test func `a person says that it happened, with its result`() throws {
        let run = try doubted()
        try run.resolve("a", .happened, output: "7")
        #expect(run.historyText.contains("step.resolved a") && run.kinds.last == .runCompleted)
        #expect(run.script.seen == ["a: 7"])
        #expect(run.violations() == [])
    }

    @Test func `a person says that it did not happen, and it is sent again`() throws {
        let run = try doubted()
        run.now = run.now + .minutes(6)
        try run.resolve("a", .didNotHappen)
        #expect(run.historyText.suffix(3) == ["step.resolved a", "run.unparked", "step.intended a"])
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test(arguments: [ResolutionKind.didNotHappen, .abort])
    func `that it did not happen is not believed while the last attempt may still act`(_ kind: ResolutionKind) throws {
        let run = try doubted()
        run.now = run.now + .minutes(5)
        try run.resolve("a", kind)
        #expect(run.kinds.last == .operatorAction)
        #expect(run.machine.isStuck)
        try run.crash()
        try run.resolve("a", kind)
        #expect(run.kinds.last == .operatorAction, "the same after a crash")
        run.now = run.now + .seconds(10)
        try run.resolve("a", kind)
        #expect(run.kinds.contains(.stepResolved))
    }

    @Test func `the last attempt of a plain step may act long after the crash that cut it off`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .seconds(1)))
        run.now = run.now + .days(1)
        try run.crash()
        #expect(run.kinds.contains(.stepInDoubt))
        try run.resolve("a", .didNotHappen)
        #expect(run.kinds.last == .operatorAction)
        run.now = run.now + .minutes(6)
        try run.resolve("a", .didNotHappen)
        #expect(run.isRunning("a"))
    }

    @Test func `the last attempt may act as long after a take-over that was given back at once`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .seconds(1)))
        run.now = run.now + .days(1)
        try run.crash(isGivenBack: true)
        #expect(run.kinds.contains(.stepInDoubt))
        try run.resolve("a", .didNotHappen)
        #expect(run.kinds.last == .operatorAction)
        run.now = run.now + .minutes(6)
        try run.resolve("a", .didNotHappen)
        #expect(run.isRunning("a"))
    }

    @Test func `a person undoes what may have happened`() throws {
        let run = try MachineDriver(
            .sequence([.idempotent("z", undo: .idempotent), .recovered(.atMostOnce("a", undo: .idempotent))]))
        try run.end("z")
        try run.crash()
        try run.resolve("a", .undo, output: "7")
        #expect(run.historyText.suffix(3) == ["step.resolved a", "run.unparked", "undo.started a"])
        #expect(run.script.seen == ["z: {}"])
        try run.end("a")
        #expect(run.script.seen == ["z: {}", "a: undone"])
        #expect(run.historyText.suffix(2) == ["undo.succeeded a", "run.completed"])
    }

    @Test func `a step that cannot be undone is not undone by a person either`() throws {
        let run = try doubted()
        try run.resolve("a", .undo)
        #expect(run.kinds.last == .operatorAction)
        #expect(run.machine.isStuck)
    }

    @Test func `an abort fails the run and undoes it, whatever its code makes of it`() throws {
        let run = try MachineDriver(.sequence([.idempotent("z", undo: .idempotent), .recovered(.atMostOnce("a"))]))
        try run.end("z")
        try run.crash()
        run.now = run.now + .minutes(6)
        try run.resolve("a", .abort)
        #expect(run.historyText.suffix(3) == ["step.resolved a", "run.unparked", "undo.started z"])
        try run.crash()
        try run.end("z")
        #expect(run.historyText.suffix(2) == ["undo.succeeded z", "run.failed"])
        #expect(run.violations() == [])
    }

    @Test func `a person's retry sends an idempotent step in doubt again and opens its window anew`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .hours(1)))
        run.now = run.now + .hours(2)
        try run.crash()
        #expect(run.kinds.contains(.stepInDoubt))
        try run.send(.retry, "a")
        #expect(run.isRunning("a"))
        run.now = run.now + .minutes(50)
        try run.crash()
        #expect(run.isRunning("a"), "inside of the window that the person opened")
        run.now = run.now + .minutes(20)
        try run.crash()
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"], "the window counts from the retry")
    }

    @Test func `a retry inside of the window does not make it longer`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .hours(1), policy: .retry(.never)))
        try run.end("a", unclear)
        run.now = run.now + .minutes(50)
        try run.send(.retry, "a")
        #expect(run.isRunning("a"))
        run.now = run.now + .minutes(20)
        try run.crash()
        #expect(run.kinds.count { $0 == .stepInDoubt } == 2)
    }

    @Test func `an at-most-once step in doubt is not retried blindly`() throws {
        let run = try doubted()
        try run.send(.retry, "a")
        #expect(run.kinds.last == .operatorAction)
        #expect(run.calls.count == 1)
    }

    @Test func `a result that is not the step's is refused`() throws {
        var request = StepRequest(subject: "a", name: "a", effect: .atMostOnce, irreversible: "it stays", input: Code.input("a"))
        request.refusesOutput = { $0 == Array("7".utf8) ? nil : "the result of 'a' is a number" }
        let run = try MachineDriver(.step(request))
        try run.crash()
        try run.resolve("a", .happened)
        #expect(run.kinds.last == .operatorAction)
        #expect(run.history.last?.attributes.text.contains("is a number") == true)
        try run.resolve("a", .happened, output: "7")
        #expect(run.machine.isClosed)
    }

    @Test func `an action without a result is resolved without one`() throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(.never)))
        try run.end("a", refused)
        try run.resolve("a", .happened)
        #expect(run.script.seen == ["a: {}"])
        #expect(run.machine.isClosed)
    }

    @Test(arguments: [ResolutionKind.didNotHappen, .abort, .undo])
    func `a dead letter can be resolved in every way, at once`(_ kind: ResolutionKind) throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(.never), undo: .idempotent))
        try run.end("a", refused)
        try run.resolve("a", kind)
        #expect(run.kinds.contains(.stepResolved))
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `a person may answer while a probe is still asking, and the probe no longer counts`() throws {
        let run = try MachineDriver(.sequence([.atMostOnce("a", probe: true), .signal("s")]))
        try run.crash()
        run.now = run.now + .minutes(6)
        try run.resolve("a", .didNotHappen)
        #expect(run.historyText.suffix(2) == ["step.resolved a", "step.intended a"])
        try run.end("a", unclear)
        #expect(run.kinds.last == .stepInDoubt)
        #expect(run.calls.count { $0.body == .stepProbe } == 1, "two probes at once could not be told apart")
        try run.endProbe("a", .happened(ok))
        #expect(run.kinds.last == .stepInDoubt, "it asked about an earlier attempt")
        try run.endProbe("a", .happened(ok))
        #expect(run.kinds.last == .stepResolved)
        #expect(run.violations() == [])
    }

    @Test func `what a person asks of a step that does not wait for one is refused and recorded`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.send(.retry, "a")
        try run.resolve("b", .happened)
        try run.send(.decision, "a", "{}")
        try run.send(.answer, "a", "1")
        try run.send(.resolve, "a", "nonsense")
        #expect(run.kinds.dropFirst() == [.operatorAction, .operatorAction, .operatorAction, .operatorAction, .operatorAction])
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `a decision that cannot be read is refused`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        try run.send(.decision, "a", "nonsense")
        #expect(run.kinds.last == .operatorAction)
        let doubted = try doubted()
        try doubted.send(.resolve, "a", "nonsense")
        #expect(doubted.kinds.last == .operatorAction)
    }

    // MARK: Approvals

    @Test(arguments: [Code.atMostOnce("a", approval: approval), .idempotent("a", approval: approval)])
    func `an approved action is consumed in the commit of its intent`(_ code: Code) throws {
        let run = try MachineDriver(code)
        #expect(run.historyText == ["run.started", "approval.requested a"])
        try run.crash()
        try run.decide("a")
        #expect(run.historyText.suffix(3) == ["approval.decided a", "approval.consumed a", "step.intended a"])
        #expect(run.commits.suffix(1) == [6])
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `later attempts use the approval again`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        try run.decide("a")
        try run.end("a", refused)
        try run.crash()
        try run.pass(.seconds(1))
        #expect(run.historyText.last == "step.intended a")
        #expect(run.kinds.count { $0 == .approvalConsumed } == 1)
    }

    @Test func `a denied action throws`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        try run.decide("a", approve: false)
        #expect(run.script.seen.first == "a: approval_denied")
        #expect(run.historyText.suffix(2) == ["approval.decided a", "run.failed"])
        #expect(run.violations() == [])
    }

    @Test func `an approval that nobody decides on in time throws`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        try run.crash()
        try run.pass(.hours(1))
        #expect(run.script.seen.first == "a: expired")
        #expect(run.kinds.contains(.approvalExpired))
        #expect(run.violations() == [])
    }

    @Test func `a decision that was accepted in time beats the expiry, also when the engine was down at both`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        run.now = run.now + .minutes(59)
        run.deliverDecision("a")
        run.now = run.now + .hours(5)
        try run.crash()
        #expect(run.isRunning("a"))
        #expect(!run.kinds.contains(.approvalExpired))
    }

    @Test func `a late decision, one on another view and one by the starter are refused`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        try run.decide("a", digest: "another")
        try run.decide("a", by: MachineDriver.owner)
        #expect(run.kinds.suffix(2) == [.operatorAction, .operatorAction])
        run.now = run.now + .hours(2)
        run.deliverDecision("a")
        try run.settle()
        #expect(run.kinds.contains(.approvalExpired))
        #expect(run.kinds.contains(.operatorAction))
        #expect(run.calls.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `a voided approval throws`() throws {
        for isApproved in [false, true] {
            let run = try MachineDriver(.atMostOnce("a", approval: approval))
            if isApproved {
                run.deliverDecision("a")
                try run.cycle()
            }
            try run.record(EventDraft(.approvalVoided, subject: "a"))
            try run.settle()
            #expect(run.script.seen.first == "a: approval_denied")
            #expect(run.machine.isClosed)
        }
    }

    @Test func `an approval fits a call whose input was written by an older form of its type`() throws {
        let run = try MachineDriver(.atMostOnce("a", approval: approval))
        var request = StepRequest(
            subject: "a", name: "a", effect: .atMostOnce, irreversible: "it stays", approval: approval,
            input: Array(#"{"new":1,"of":"a"}"#.utf8))
        request.accepts = { $0 == Code.input("a") }
        let newer = MachineDriver(.step(request), build: "build-b", history: run.history, calls: [])
        try newer.crash()
        try newer.decide("a")
        #expect(newer.isRunning("a"))
        request.accepts = { _ in false }
        let other = MachineDriver(.step(request), build: "build-b", history: run.history, calls: [])
        #expect(throws: Divergence.self) { try other.crash() }
    }

    // MARK: Questions and signals

    @Test func `a question takes the first valid answer`() throws {
        var question = QuestionRequest(subject: "q", text: "How many?", approver: .anyone)
        question.refuses = { $0 == Array("3".utf8) ? nil : "3, please" }
        let run = try MachineDriver(.question(question))
        try run.send(.answer, "q", "4")
        try run.crash()
        try run.send(.answer, "q", "3")
        #expect(run.script.seen == ["question q: 3"])
        #expect(
            run.historyText == [
                "run.started", "question.asked q", "operator.action q", "run.resumed", "question.answered q", "run.completed",
            ])
    }

    @Test func `a question that nobody answers in time throws`() throws {
        let run = try MachineDriver(.question("q", within: .hours(1)))
        try run.crash()
        try run.pass(.hours(1))
        #expect(run.script.seen.first == "question q: expired")
    }

    @Test func `signals wait in order until they are asked for`() throws {
        let run = try MachineDriver(.sequence([.read("a"), .signal("s"), .signal("s")]))
        try run.send(.signal, "s", "1")
        try run.send(.signal, "s", "2")
        try run.crash()
        try run.end("a")
        #expect(run.script.seen == ["a: {}", "signal s: 1", "signal s: 2"])
    }

    private func doubted() throws -> MachineDriver {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.crash()
        return run
    }
}
