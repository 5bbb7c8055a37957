import Perdure
import PerdureHistory
import PerdureStore
import Testing

@testable import PerdureEngine

private let ok = MachineDriver.done
private let rejected = MachineDriver.failure(isDefinite: true, isRetryable: false)
private let key = BusinessKey(namespace: "default", step: "a", key: "order-7")

/// One effect under one name, whichever run asks for it.
@Suite struct MachineBusinessKeyScenarios {
    @Test func `the intent takes the key and the outcome settles it`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent, key: "order-7"), .signal("s"), .fails]))
        #expect(run.keys[key]?.outcome == .open)
        try run.end("a")
        #expect(run.keys[key]?.outcome == .happened(output: ok))
        try run.send(.signal, "s", "1")
        try run.end("a")
        #expect(run.keys[key]?.outcome == .free, "undone: free again")
        #expect(run.keys[key]?.generation == 1)
    }

    @Test func `a step that fails for good frees its key`() throws {
        let run = try MachineDriver(.idempotent("a", key: "order-7"))
        try run.end("a", rejected)
        #expect(run.keys[key]?.outcome == .free)
    }

    @Test func `a free key is taken with its generation, which is part of the idempotency key, the undo's too`() throws {
        let run = try held(.free, generation: 3, .sequence([.idempotent("a", undo: .idempotent, key: "order-7"), .fails]))
        #expect(run.keys[key]?.generation == 3)
        let expected = IdempotencyKey.derive(namespace: "default", stepName: "a", businessKey: "order-7", generation: 3)
        #expect(run.calls.map(\.key) == [expected])
        try run.crash()
        #expect(run.calls.map(\.key) == [expected, expected])
        try run.end("a")
        #expect(run.calls.last?.key == IdempotencyKey.undo(of: expected))
        try run.crash()
        #expect(run.calls.last?.key == IdempotencyKey.undo(of: expected))
        try run.end("a")
        #expect(run.violations() == [])
    }

    @Test func `what another run did is adopted, and not undone`() throws {
        let run = try held(
            .happened(output: Array("7".utf8)), .sequence([.idempotent("a", undo: .idempotent, key: "order-7"), .fails]))
        #expect(run.historyText.suffix(2) == ["step.succeeded a", "run.failed"])
        #expect(run.script.seen.first == "a: 7")
        #expect(run.calls.isEmpty)
        #expect(run.violations() == [])
    }

    @Test func `an outcome of another type is not adopted`() throws {
        var request = StepRequest(
            subject: "a", name: "a", effect: .idempotent(.forever), irreversible: "it stays", businessKey: "order-7",
            input: Code.input("a"))
        request.refusesOutput = { $0 == Array("7".utf8) ? "the result of 'a' is a text" : nil }
        let run = try held(.happened(output: Array("7".utf8)), .step(request))
        try #require(run.historyText == ["run.started", "step.failed a", "run.failed"])
        #expect(run.script.seen.first == "a: key_conflict")
        #expect(run.history[1].attributes.text.contains("is a text"))
        #expect(run.violations() == [])
    }

    @Test func `an outcome that is being undone is adopted by nobody`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent, key: "order-7"), .signal("s"), .fails]))
        try run.end("a")
        try run.send(.signal, "s", "1")
        #expect(run.kinds.last == .undoStarted)
        #expect(run.keys[key]?.outcome == .open)
        try run.end("a")
        #expect(run.keys[key]?.outcome == .free)
    }

    @Test func `what happened although it was given up is undone before anybody could adopt it`() throws {
        let run = try MachineDriver(
            .sequence([.race([.signal("s"), .idempotent("a", undo: .idempotent, key: "order-7")]), .signal("end")]))
        try run.send(.signal, "s", "1")
        run.ended(run.running.removeFirst(), .succeeded(ok))
        while run.kinds.last != .stepSucceeded { try run.cycle() }
        #expect(run.keys[key]?.outcome == .open)
        try run.settle()
        #expect(run.keys[key]?.outcome == .open)
        try run.end("a")
        #expect(run.keys[key]?.outcome == .free)
        #expect(run.violations() == [])
    }

    @Test func `an undo that has not begun when its run is terminated leaves the outcome to others`() throws {
        let run = try MachineDriver(.atMostOnce("a", undo: .idempotent, key: "order-7"))
        try run.crash()
        run.deliverResolution("a", .undo, output: "7")
        run.deliver(.terminate)
        try run.settle()
        #expect(run.historyText.suffix(2) == ["step.resolved a", "run.terminated"])
        #expect(run.keys[key]?.outcome == .happened(output: Array("7".utf8)))
    }

    @Test func `a key held with another input is a failure`() throws {
        for approval in [nil, ApprovalRequirement.required(by: .anyone, within: .hours(1))] {
            let run = try held(.open, digest: "another", .idempotent("a", approval: approval, key: "order-7"))
            if approval != nil { try run.decide("a") }
            #expect(run.script.seen.first == "a: key_conflict")
            #expect(run.machine.isClosed)
        }
    }

    @Test(arguments: [BusinessKeySettlement.End.free, .happened(output: ok)])
    func `a key held by another run is waited for`(_ end: BusinessKeySettlement.End) throws {
        let run = try held(.open, .idempotent("a", key: "order-7"))
        #expect(run.awaited.count == 1)
        #expect(!run.kinds.contains(.stepIntended))
        #expect(!run.machine.isStuck)
        try run.crash()
        run.settleKey(key, end)
        try run.settle()
        if end == .free { try run.end("a") }
        #expect(run.script.seen == ["a: {}"])
        #expect(run.calls.count == (end == .free ? 1 : 0))
        #expect(run.violations() == [])
    }

    @Test func `two steps of one run that share a key act once`() throws {
        let run = try MachineDriver(
            .parallel([.idempotent("a", key: "order-7"), Code.idempotent("a", key: "order-7").named("b")]))
        #expect(run.historyText == ["run.started", "step.intended a"])
        try run.end("a")
        #expect(run.script.seen == ["a: {}", "b: {}"])
        #expect(run.calls.count == 1)
        #expect(run.violations() == [])
    }

    @Test func `an approved step that waits for a key ends at once when it is given up, live as on replay`() throws {
        let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))
        let run = try held(
            .open, .sequence([.race([.signal("s"), .atMostOnce("a", approval: approval, key: "order-7")]), .signal("end")]))
        try run.decide("a")
        #expect(run.awaited.count == 1)
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.script.seen == ["signal s: {}", "a: cancelled"])
        try run.settle()
        #expect(run.historyText.last == "approval.cancelled a")
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `an approved step takes a key that has become free`() throws {
        let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))
        let run = try held(.open, .atMostOnce("a", approval: approval, key: "order-7"))
        try run.decide("a")
        run.settleKey(key, .free)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["approval.decided a", "approval.consumed a", "step.intended a"])
    }

    @Test func `an outcome that is adopted in the batch that gives the step up is not told twice`() throws {
        let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))
        let run = try held(
            .happened(output: ok),
            .sequence([.race([.signal("s"), .atMostOnce("a", approval: approval, key: "order-7")]), .signal("end")]))
        run.deliverDecision("a")
        try run.cycle()
        // The intent is refused because the outcome is there; a signal comes at the same time.
        run.now = run.now + .seconds(1)
        try run.cycle()
        run.mailbox = run.mailbox.map { (run.now, $0.fact) }
        run.now = run.now - .seconds(1)
        run.deliver(.signal, "s", ok)
        try run.cycle()
        #expect(run.historyText.suffix(2) == ["signal.received s", "step.succeeded a"])
        #expect(run.script.seen == ["signal s: {}", "a: cancelled"])
        try run.send(.signal, "end", "1")
        #expect(run.violations() == [])
    }

    @Test func `a fact that comes to nothing does not keep what the store says of the key out of the batch`() throws {
        let approval = ApprovalRequirement.required(by: .anyone, within: .hours(1))
        let run = try held(.free, generation: 2, .atMostOnce("a", approval: approval, key: "order-7"))
        run.deliverDecision("a")
        run.now = run.now + .hours(2)
        try run.settle()
        #expect(run.historyText.suffix(3) == ["approval.decided a", "approval.consumed a", "step.intended a"])
    }

    @Test func `of what the store has said of a key the last counts`() throws {
        let run = try held(.open, .idempotent("a", key: "order-7"))
        let id = try #require(run.machine.steps.keys.first)
        var record = try #require(run.keys[key])
        for (outcome, generation) in [(BusinessKeyRecord.Outcome.free, 1), (.open, 1), (.free, 2)] {
            record.outcome = outcome
            record.generation = generation
            run.mailbox.append((run.now, .keyHeld(id, record)))
        }
        run.keys[key] = record
        try run.settle()
        #expect(run.historyText.last == "step.intended a")
        #expect(run.keys[key]?.generation == 2)
    }

    @Test func `a step that waits for a key and is given up is cancelled`() throws {
        let run = try held(.open, .race([.signal("s"), .idempotent("a", key: "order-7")]))
        try run.send(.signal, "s", "1")
        #expect(run.historyText.suffix(2) == ["step.cancelled a", "run.completed"])
        #expect(run.keys[key]?.outcome == .open)
    }

    @Test func `an undo that a person gives up leaves the key with its outcome`() throws {
        let run = try MachineDriver(.sequence([.idempotent("a", undo: .idempotent, key: "order-7"), .fails]))
        try run.end("a")
        try run.end("a", rejected)
        try run.resolve("a", .abort)
        #expect(run.keys[key]?.outcome == .happened(output: ok))
        #expect(run.machine.isClosed)
    }

    /// A run that asks for a key which another run has had before.
    private func held(
        _ outcome: BusinessKeyRecord.Outcome, generation: Int = 0, digest: String? = nil, _ code: Code
    ) throws -> MachineDriver {
        let input = SaltedDigest.hex(salt: [], canonicalBytes: Code.input("a"))
        return try MachineDriver(
            code,
            keys: [
                BusinessKeyRecord(
                    key: key, generation: generation, holder: RunID(milliseconds: 5, random: (5, 5)), subject: "theirs",
                    inputDigest: digest ?? input, outcome: outcome)
            ])
    }
}
