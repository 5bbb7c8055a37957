import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let unclear = MachineDriver.failure()
private let refused = MachineDriver.failure(isDefinite: true)
private let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
private let lost = MachineDriver.failure(isRetryable: false)

/// What happens to a step of each effect: undisturbed, with errors, and when the process is lost.
@Suite struct MachineStepScenarios {
    @Test func `the next attempt knows of one before it, also when a take-over was given back in between`() throws {
        for isGivenBack in [false, true] {
            let run = try MachineDriver(.idempotent("a"))
            #expect(run.running.first?.attempt.isRepeated == false)
            try run.crash(isGivenBack: isGivenBack)
            #expect(run.running.first?.attempt.isRepeated == true)
            try run.end("a")
            #expect(run.violations() == [])
        }
    }

    // MARK: Success

    @Test(arguments: [Code.read("a"), .idempotent("a")])
    func `a plain step is one call and one event`(_ code: Code) throws {
        let run = try MachineDriver(code)
        #expect(run.historyText == ["run.started"])
        try run.end("a")
        #expect(run.historyText == ["run.started", "step.succeeded a", "run.completed"])
        #expect(run.calls.count == 1)
        #expect(run.script.seen == ["a: {}"])
        #expect(run.violations() == [])
    }

    @Test(arguments: [
        Code.idempotent("a", policy: StepPolicy(intent: .always)), .idempotent("a", key: "7"), .atMostOnce("a"),
    ])
    func `a step that needs an intent is sent only when it is durable`(_ code: Code) throws {
        let run = try MachineDriver(code)
        #expect(run.historyText == ["run.started", "step.intended a"])
        #expect(run.calls.map(\.seq) == [2])
        try run.end("a")
        #expect(run.historyText.dropFirst(2) == ["step.succeeded a", "run.completed"])
    }

    // MARK: Errors

    @Test(arguments: [Code.read("a"), .idempotent("a")])
    func `a failed attempt is one event and the next one comes at the recorded time`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", unclear)
        #expect(run.historyText == ["run.started", "step.attempt_failed a"])
        #expect(run.calls.count == 1)
        #expect(run.machine.nextDue() == run.now + .seconds(1))
        try run.pass(.seconds(1))
        #expect(run.calls.map(\.number) == [1, 2])
        #expect(Set(run.calls.map(\.key)).count == 1)
        try run.end("a")
        #expect(run.script.seen == ["a: {}"])
    }

    @Test func `an at-most-once step is tried again only after a definite error, with an intent of its own`() throws {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.end("a", refused)
        #expect(run.calls.count == 1)
        try run.pass(.seconds(1))
        #expect(run.historyText == ["run.started", "step.intended a", "step.attempt_failed a", "step.intended a"])
        #expect(run.calls.count == 2)
    }

    @Test(arguments: [Code.read("a"), .idempotent("a"), .atMostOnce("a")])
    func `a definite error that cannot be retried is thrown at once`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", rejected)
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.failed"])
        #expect(run.script.seen.first == "a: step_failed")
    }

    @Test func `in a read every error is definite`() throws {
        let run = try MachineDriver(.recovered(.read("a")))
        try run.end("a", lost)
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.completed"])
    }

    @Test(arguments: [Code.idempotent("a"), .atMostOnce("a")])
    func `an error that is not definite and cannot be retried puts the step in doubt`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", lost)
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
        #expect(run.script.seen == [])
    }

    @Test func `an at-most-once step without an answer is in doubt at once`() throws {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.end("a", unclear)
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
        try run.pass(.days(1))
        #expect(run.calls.count == 1)
    }

    @Test(arguments: [Code.read("a", policy: .retry(.never)), .idempotent("a", policy: .retry(.never))])
    func `used-up attempts leave a dead letter that only a person moves`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", refused)
        #expect(run.historyText.suffix(2) == ["step.attempt_failed a", "run.parked"])
        #expect(run.machine.isStuck)
        #expect(run.machine.nextDue() == nil)
        try run.crash()
        #expect(run.machine.isStuck)
        try run.send(.retry, "a")
        #expect(run.historyText.suffix(2) == ["operator.action a", "run.unparked"])
        try run.end("a")
        #expect(run.machine.isClosed)
        #expect(run.violations() == [])
    }

    @Test(arguments: [
        Code.read("a", policy: .retry(.never.thenThrow)), .idempotent("a", policy: .retry(.never.thenThrow)),
        .atMostOnce("a", policy: .retry(.never.thenThrow)),
    ])
    func `used-up attempts are thrown where the policy says so and the last error is definite`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", refused)
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.failed"])
    }

    @Test(arguments: [RetryPolicy.never, .never.thenThrow])
    func `used-up attempts whose last error is not definite are in doubt`(_ retry: RetryPolicy) throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(retry)))
        try run.end("a", unclear)
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test(arguments: [RetryPolicy.limited(to: 2), .limited(to: 2).thenThrow])
    func `used-up attempts are in doubt if one of them did not say whether it did anything`(_ retry: RetryPolicy) throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(retry)))
        try run.end("a", unclear)
        try run.passUntilDue()
        try run.end("a", MachineDriver.failure(isDefinite: true))
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test(arguments: [Code.idempotent("a"), .atMostOnce("a")])
    func `a result that cannot be recorded is in doubt`(_ code: Code) throws {
        let run = try MachineDriver(code)
        try run.end("a", .unrecordable("9 MiB"))
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test func `a read whose result cannot be recorded fails`() throws {
        let run = try MachineDriver(.read("a"))
        try run.end("a", .unrecordable("9 MiB"))
        #expect(run.historyText.suffix(2) == ["step.failed a", "run.failed"])
    }

    @Test func `attempts are counted across crashes, and one that a crash cut off does not count`() throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(.limited(to: 2))))
        try run.crash()
        try run.end("a", refused)
        try run.crash()
        try run.passUntilDue()
        try run.crash()
        #expect(run.calls.map(\.number) == [1, 1, 2, 2])
        try run.end("a", refused)
        #expect(run.kinds.last == .runParked)
        try run.crash()
        #expect(run.machine.isStuck)
    }

    @Test func `a dead letter is one after a crash too`() throws {
        let run = try MachineDriver(.idempotent("a", policy: .retry(.limited(to: 2))))
        try run.end("a", refused)
        try run.passUntilDue()
        try run.end("a", refused)
        #expect(run.historyText.suffix(2) == ["step.attempt_failed a", "run.parked"])
        try run.crash()
        #expect(run.machine.isStuck)
        #expect(run.calls.count == 2)
    }

    // MARK: Crashes

    @Test func `a read cut off by a crash runs again`() throws {
        let run = try MachineDriver(.read("a"))
        try run.crash()
        #expect(run.historyText == ["run.started", "run.resumed"])
        #expect(run.calls.map(\.epoch) == [1, 2])
        #expect(run.calls.map(\.number) == [1, 1])
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `a plain idempotent step cut off by a crash is sent again under the same key`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .hours(1)))
        run.now = run.now + .minutes(59)
        try run.crash()
        #expect(run.historyText == ["run.started", "run.resumed"])
        #expect(run.calls.count == 2)
        #expect(Set(run.calls.map(\.key)).count == 1)
    }

    @Test(arguments: [
        Code.idempotent("a", retention: .hours(1)), .idempotent("a", retention: .hours(1), policy: StepPolicy(intent: .always)),
    ])
    func `after its window an idempotent step cut off by a crash is in doubt`(_ code: Code) throws {
        let run = try MachineDriver(code)
        run.now = run.now + .minutes(61)
        try run.crash()
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
        #expect(run.calls.count == 1)
    }

    @Test func `an idempotent step with an intent is sent again without another one`() throws {
        let run = try MachineDriver(.idempotent("a", policy: StepPolicy(intent: .always)))
        try run.crash()
        #expect(run.historyText == ["run.started", "step.intended a", "run.resumed"])
        #expect(run.calls.count == 2)
    }

    @Test func `another build commits an intent before it sends an idempotent step again`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.crash(build: "build-b")
        #expect(run.historyText == ["run.started", "run.resumed", "step.intended a"])
        #expect(run.calls.map(\.seq) == [1, 3])
        #expect(Set(run.calls.map(\.key)).count == 1)
    }

    @Test func `a build that comes back knows that another one may have sent the step`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.end("a", refused)
        try run.handOver(build: "build-b")
        try run.pass(.seconds(1))
        #expect(run.historyText.last == "run.resumed", "a build has to be on record before its body is sent")
        try run.crash(build: "build-a")
        #expect(run.historyText.last == "step.intended a")
    }

    @Test func `the intent of another build does not move the window`() throws {
        let run = try MachineDriver(.idempotent("a", retention: .hours(1)))
        run.now = run.now + .minutes(50)
        try run.crash(build: "build-b")
        #expect(run.kinds.last == .stepIntended)
        run.now = run.now + .minutes(20)
        try run.crash()
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test func `definite errors move the window, others do not`() throws {
        let moving = try MachineDriver(.idempotent("a", retention: .minutes(10)))
        try moving.end("a", refused)
        moving.now = moving.now + .minutes(8)
        try moving.settle()
        try moving.end("a", refused)
        moving.now = moving.now + .minutes(8)
        try moving.crash()
        #expect(moving.isRunning("a"))

        let fixed = try MachineDriver(.idempotent("a", retention: .minutes(10)))
        try fixed.end("a", unclear)
        fixed.now = fixed.now + .minutes(8)
        try fixed.settle()
        try fixed.end("a", refused)
        try fixed.pass(.minutes(8))
        #expect(fixed.kinds.contains(.stepInDoubt), "the first attempt may still arrive when its key is forgotten")
    }

    @Test func `after a crash the delay goes on from the recorded time`() throws {
        let run = try MachineDriver(.idempotent("a"))
        try run.end("a", unclear)
        let due = run.machine.nextDue()
        try run.crash()
        #expect(run.calls.count == 1)
        #expect(run.machine.nextDue() == due)
        try run.pass(.seconds(1))
        #expect(run.calls.map(\.number) == [1, 2])
    }

    @Test func `an at-most-once step cut off by a crash waits for a person`() throws {
        let run = try MachineDriver(.atMostOnce("a"))
        try run.crash()
        #expect(run.historyText == ["run.started", "step.intended a", "run.resumed", "step.in_doubt a", "run.parked"])
        try run.pass(.days(9))
        try run.crash()
        #expect(run.calls.count == 1)
        #expect(run.machine.isStuck)
    }

    @Test func `an at-most-once step cut off by a crash is probed where it can be`() throws {
        let run = try MachineDriver(.atMostOnce("a", probe: true))
        try run.crash()
        #expect(run.historyText.last == "step.in_doubt a")
        #expect(run.calls.map(\.body) == [.step, .stepProbe])
        try run.crash()
        #expect(run.calls.map(\.body) == [.step, .stepProbe, .stepProbe], "a probe is a read")
        #expect(run.kinds.count { $0 == .stepInDoubt } == 1)
    }

    @Test func `an intent whose time ran out before it could be used is written anew`() throws {
        let run = try MachineDriver(.sequence([.signal("s"), .atMostOnce("a")]))
        run.deliver(.signal, "s", ok)
        while run.kinds.last != .stepIntended { try run.cycle() }
        run.now = run.now + .minutes(20)
        try run.settle()
        #expect(run.historyText.suffix(2) == ["step.intended a", "step.intended a"])
        #expect(run.calls.count == 1)
    }

    @Test func `an intent is not replaced without end where a commit takes longer than an attempt may`() throws {
        let policy = StepPolicy(attemptTimeout: .milliseconds(1))
        let run = try MachineDriver(.sequence([.signal("s"), .atMostOnce("a", policy: policy)]))
        run.deliver(.signal, "s", ok)
        for _ in 0..<20 where run.calls.isEmpty {
            try run.cycle()
            run.now = run.now + .milliseconds(5)
        }
        #expect(run.calls.count == 1)
        #expect(run.kinds.count { $0 == .stepIntended } == 3)
        let call = try #require(run.running.first).attempt
        #expect(call.deadline <= run.now + .milliseconds(1), "the body has no more time for that")
        try run.crash()
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test func `a step in flight at a hand-over leaves an intent`() throws {
        let run = try MachineDriver(.parallel([.idempotent("a"), .read("r"), .atMostOnce("b")]))
        try run.handOver()
        #expect(run.historyText.suffix(3) == ["step.intended a", "run.resumed", "step.in_doubt b"].suffix(3))
        #expect(run.calls.filter { $0.subject == "a" }.count == 2)
        try run.playToTheEnd()
        #expect(run.violations() == [])
    }

    @Test func `a later attempt in flight at a hand-over is not taken for one that never was`() throws {
        let run = try MachineDriver(.sequence([.race([.signal("s"), .idempotent("a")]), .signal("end")]))
        try run.end("a", refused)
        try run.pass(.seconds(1))
        #expect(run.isRunning("a"))
        try run.handOver()
        try run.send(.signal, "s", "1")
        #expect(!run.kinds.contains(.stepCancelled), "it was sent, and may have happened")
        try run.end("a")
        #expect(run.kinds.last == .stepSucceeded)
        #expect(run.violations() == [])
    }

    // MARK: Probes

    @Test func `a probe that finds the effect settles the step`() throws {
        let run = try doubted()
        try run.endProbe("a", .happened(Array("7".utf8)))
        #expect(run.historyText.suffix(2) == ["step.resolved a", "run.completed"])
        #expect(run.script.seen == ["a: 7"])
    }

    @Test func `a probe that finds nothing is believed when the last attempt is over for certain`() throws {
        let run = try doubted()
        try run.endProbe("a", .didNotHappen)
        #expect(run.historyText.last == "step.in_doubt a")
        try run.pass(.minutes(5))
        #expect(!run.isRunning("a"))
        try run.pass(.seconds(10))
        #expect(run.isRunning("a"), "asked again")
        try run.endProbe("a", .didNotHappen)
        #expect(run.historyText.suffix(2) == ["step.resolved a", "step.intended a"])
        #expect(run.calls.count { $0.body == .step } == 2)
    }

    @Test func `a probe that finds a part asks a person`() throws {
        let run = try doubted()
        try run.endProbe("a", .partly("half"))
        #expect(run.historyText.suffix(3) == ["step.in_doubt a", "step.in_doubt a", "run.parked"])
        try run.crash()
        #expect(run.machine.isStuck)
    }

    @Test func `a probe that does not know is asked again with growing delays, then a person is`() throws {
        let run = try doubted()
        for _ in 0..<RunMachine.probeLimit - 1 {
            try run.endProbe("a", .unknown("later"))
            #expect(!run.isRunning("a"))
            try run.passUntilDue()
        }
        try run.endProbe("a", .unknown("never"))
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test func `how often a probe did not know is remembered, whoever asks next`() throws {
        let run = try doubted()
        for number in 1..<RunMachine.probeLimit {
            try run.endProbe("a", .unknown("later"))
            #expect(!run.isRunning("a"))
            if number.isMultiple(of: 2) { try run.crash() } else { try run.evict() }
            #expect(!run.isRunning("a"), "not before its time")
            try run.passUntilDue()
        }
        try run.endProbe("a", .unknown("never"))
        #expect(run.historyText.suffix(2) == ["step.in_doubt a", "run.parked"])
    }

    @Test func `when a probe finds that an error was definite after all, the policy goes on`() throws {
        let run = try MachineDriver(.recovered(.atMostOnce("a", probe: true, policy: .retry(.limited(to: 2)))))
        try run.end("a", unclear)
        run.now = run.now + .minutes(6)
        try run.endProbe("a", .didNotHappen)
        #expect(run.calls.count { $0.body == .step } == 1, "there is a delay between attempts")
        try run.pass(.seconds(1))
        try run.end("a", unclear)
        run.now = run.now + .minutes(6)
        try run.endProbe("a", .didNotHappen)
        #expect(run.historyText.suffix(2) == ["step.resolved a", "run.parked"], "its two attempts are used up")
        try run.crash()
        #expect(run.machine.isStuck)
    }

    @Test(arguments: [RetryPolicy.default, .never.thenThrow])
    func `an error that cannot be retried is thrown when a probe finds that nothing happened`(_ retry: RetryPolicy) throws {
        let run = try MachineDriver(.atMostOnce("a", probe: true, policy: .retry(retry)))
        try run.end("a", retry.maximumAttempts == nil ? lost : unclear)
        run.now = run.now + .minutes(6)
        try run.endProbe("a", .didNotHappen)
        #expect(run.historyText.suffix(2) == ["step.resolved a", "run.failed"])
        #expect(run.script.seen.first == "a: step_failed")
        #expect(run.violations() == [])
    }

    /// An at-most-once step with a probe, cut off by a crash; its probe runs.
    private func doubted() throws -> MachineDriver {
        let run = try MachineDriver(.atMostOnce("a", probe: true))
        try run.crash()
        return run
    }
}
