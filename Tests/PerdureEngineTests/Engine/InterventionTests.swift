import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What people can do for runs whose code is gone, does not fit, must not run, or never runs again.
@Suite(.timeLimit(.minutes(5))) struct InterventionTests {
    // MARK: Terminated runs

    @Test(arguments: [
        (StepResolution.happened(result: Data("\"paid\"".utf8)), "happened"), (.didNotHappen, "did_not_happen"),
        (.abort, "abort"),
    ])
    func `a terminated run's step in doubt is cleared up`(_ resolution: StepResolution, _ name: String) async throws {
        try await withEngines { harness in
            let run = try await harness.terminatedInDoubt()
            let before = try await harness.record(run)
            // The last attempt can act no more.
            harness.clock.advance(by: .seconds(120))
            try await harness.engine.client.resolve(run, step: "pay", resolution, reason: "looked", by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until { try await harness.record(run).owner == nil }
            let attributes = try await harness.attributes(.stepResolved, of: run)
            #expect(attributes["resolution"]?.stringValue == name && attributes["reason"]?.stringValue == "looked")
            #expect(attributes["without_code"]?.boolValue == true)
            let after = try await harness.record(run)
            #expect(after.state == .terminated && after.closedAt == before.closedAt)
            #expect(try await harness.observer().view(of: run).isClosedCleanly)
            #expect(try await harness.lines(run).suffix(2) == ["run.terminated", "step.resolved pay"])
            let error = await #expect(throws: PerdureError.self) { try await harness.engine.result(of: run) }
            #expect(error?.code == .runTerminated)
            #expect(try await harness.observer().store.counts(namespace: nil) == [.terminated: 1])
            // Once is enough.
            let again = await #expect(throws: PerdureError.self) {
                try await harness.engine.client.resolve(run, step: "pay", resolution, by: EngineHarness.bob)
            }
            #expect(again?.code == .stepNotStuck)
        }
    }

    @Test func `an undo of a terminated run's step is refused in its history, and the step can still be cleared up`() async throws
    {
        try await withEngines { harness in
            let run = try await harness.terminatedInDoubt()
            let client = try harness.engine.client
            try await client.resolve(run, step: "pay", .undo(result: Data("\"paid\"".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action pay")
            let attributes = try await harness.attributes(.operatorAction, of: run)
            #expect(attributes["action"]?.stringValue == "resolve" && attributes["refused"]?.stringValue == "step_not_stuck")
            #expect(attributes["message"]?.stringValue?.contains("needs the code") == true)
            #expect(try await harness.observer().view(of: run).isClosedCleanly == false)
            try await client.resolve(run, step: "pay", .happened(result: Data("\"paid\"".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
        }
    }

    @Test func `a terminated run can be cleared up by an engine that hosts nothing, on the word of another process`() async throws
    {
        try await withEngines { harness in
            let run = try await harness.terminatedInDoubt()
            try await harness.stop()
            let happened = StepResolution.happened(result: Data("\"paid\"".utf8))
            try await harness.observer().resolve(run, step: "pay", happened, by: EngineHarness.bob)
            #expect(try await harness.count("step.resolved pay", in: run) == 0)
            try await harness.open { NewerFlow { input, _ in input } }
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until { try await harness.record(run).owner == nil }
        }
    }

    @Test(arguments: [true, false])
    func `a death while a terminated run is cleared up leaves it as it was, for the next engine`(isBefore: Bool) async throws {
        try await withEngines { harness in
            let run = try await harness.terminatedInDoubt()
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(.stepResolved) }) else {
                    return .apply
                }
                return isBefore ? .dieBefore : .dieAfter
            }
            let happened = StepResolution.happened(result: Data("\"paid\"".utf8))
            try await harness.engine.client.resolve(run, step: "pay", happened, by: EngineHarness.bob)
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            #expect(try await harness.record(run).state == .terminated)
            #expect(try await harness.lines(run).last == (isBefore ? "run.terminated" : "step.resolved pay"))
            try await harness.open { NewerFlow { input, _ in input } }
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until { try await harness.record(run).owner == nil }
            #expect(try await harness.lines(run).suffix(2) == ["run.terminated", "step.resolved pay"])
        }
    }

    @Test(arguments: [true, false])
    func `clearing up a terminated run's step settles its business key`(hasHappened: Bool) async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = Flow { input, context in
                try await context.step(
                    "charge", key: "order 7", input: 7, .atMostOnce(inDoubt: .askPerson), policy: .plain(), irreversible: "x"
                ) { _, _ in
                    effects.add(input)
                    if input == "first" { await gate.hang() }
                    return input
                }
            }
            try await harness.open { flow }
            let first = try await harness.start("first")
            try await harness.until { gate.arrivals == 1 }
            let client = try harness.engine.client
            try await client.terminate(first.id, by: EngineHarness.bob)
            try await harness.until(first.id, is: .terminated)
            let second = try await harness.start("second")
            try await harness.until(second.id, is: .waiting)
            harness.clock.advance(by: .seconds(120))
            let resolution = hasHappened ? StepResolution.happened(result: Data("\"first\"".utf8)) : .didNotHappen
            try await client.resolve(first.id, step: "charge", resolution, by: EngineHarness.bob)
            #expect(try await second.result() == (hasHappened ? "first" : "second"))
            #expect(effects.all == (hasHappened ? ["first"] : ["first", "second"]))
        }
    }

    // MARK: Blocked runs

    @Test func `a blocked run's step in doubt is resolved without its code; the run stays blocked until the right build comes`()
        async throws
    {
        try await withEngines { harness in
            let run = try await harness.blockedInDoubt()
            let note = try await harness.record(run).note
            let happened = StepResolution.happened(result: Data("\"paid\"".utf8))
            try await harness.engine.client.resolve(run, step: "pay", happened, by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until(run, is: .blocked)
            #expect(try await harness.record(run).note == note && note?.isEmpty == false)
            #expect(try await harness.attributes(.stepResolved, of: run)["without_code"]?.boolValue == true)
            #expect(try await harness.count("run.blocked pay", in: run) == 1)
            try await harness.stop()
            try await harness.open(build: "build-1") { harness.payer() }
            #expect(try await harness.result(run) == "paid go")
            #expect(try await harness.count("run.unblocked", in: run) == 1)
            #expect(harness.effects.all == ["pay"])
        }
    }

    @Test(arguments: [true, false])
    func `a death while a blocked run is looked after does not bring its code in`(isBefore: Bool) async throws {
        try await withEngines { harness in
            let run = try await harness.blockedInDoubt()
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(.stepResolved) }) else {
                    return .apply
                }
                return isBefore ? .dieBefore : .dieAfter
            }
            let happened = StepResolution.happened(result: Data("\"paid\"".utf8))
            try await harness.engine.client.resolve(run, step: "pay", happened, by: EngineHarness.bob)
            try await harness.until { harness.isDead }
            harness.script.set(nil)
            try await harness.crash()
            try await harness.open(build: "build-2") { harness.stranger() }
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until(run, is: .blocked)
            #expect(try await harness.count("run.blocked pay", in: run) == 1)
            try await harness.stop()
            try await harness.open(build: "build-1") { harness.payer() }
            #expect(try await harness.result(run) == "paid go")
        }
    }

    @Test func `a cancel of a blocked run is accepted and waits for code that fits`() async throws {
        try await withEngines { harness in
            let run = try await harness.blockedInDoubt()
            let client = try harness.engine.client
            try await client.cancel(run, by: EngineHarness.bob)
            harness.clock.advance(by: .seconds(120))
            try await client.resolve(run, step: "pay", .didNotHappen, by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until(run, is: .blocked)
            #expect(try await harness.count("run.cancel_requested", in: run) == 0)
            try await harness.stop()
            try await harness.open(build: "build-1") { harness.payer() }
            try await harness.until(run, is: .cancelled)
            #expect(harness.effects.all == ["pay"])
        }
    }

    @Test func `a blocked run is terminated without its code, also if a message comes while that is being recorded`() async throws
    {
        try await withEngines { harness in
            let run = try await harness.blockedInDoubt()
            let observer = try await harness.observer()
            harness.script.set { call in
                guard case .commit(_, let items) = call, items.contains(where: { $0.records(.runTerminated) }) else {
                    return .apply
                }
                try? await observer.signal(run, Poke.self, "late", id: "late", by: EngineHarness.bob)
                return .apply
            }
            try await harness.engine.client.terminate(run, by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            let lines = try await harness.lines(run)
            #expect(lines.suffix(3) == ["signal.undelivered poke", "signal.undelivered poke", "run.terminated"])
            #expect(try await observer.view(of: run).step("pay")?.isInDoubt == true)
        }
    }

    // MARK: Runs that nobody hosts

    @Test func `a step in doubt of a run that nobody hosts is resolved, and the run goes on when somebody does`() async throws {
        try await withEngines { harness in
            let run = try await harness.parkedInDoubt()
            try await harness.stop()
            try await harness.open(build: "build-2") { NewerFlow { input, _ in input } }
            let client = try harness.engine.client
            // What cannot be done leaves the run where it was.
            let note = try await harness.record(run).note
            try await client.resolve(run, step: "pay", .undo(result: Data("\"paid\"".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action pay")
            try await harness.until(run, is: .parked)
            #expect(try await harness.record(run).note == note && note?.contains("in doubt") == true)
            try await client.resolve(run, step: "pay", .happened(result: Data("\"paid\"".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until(run, is: .ready)
            try await harness.stop()
            try await harness.open { harness.payer() }
            try await harness.engine.client.signal(run, Poke.self, "go", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "paid go")
            #expect(harness.effects.all == ["pay"])
        }
    }

    // MARK: Poisoned runs

    @Test func `a poisoned run sleeps through messages, and a retry of the run lets it go on`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.poisoned(gate)
            #expect(try await harness.record(run).note?.contains("died 3 times") == true)
            let epoch = try await harness.record(run).epoch
            let client = try harness.engine.client
            try await client.signal(run, Poke.self, "go", by: EngineHarness.bob)
            // Whatever the engine does about a message, it has done when it has run another run from its start to its end.
            let other = try await harness.engine.start(NewerFlow.self, input: "y", by: EngineHarness.ada)
            #expect(try await other.result() == "y")
            #expect(try await harness.record(run).epoch == epoch && gate.arrivals == 3)
            try await client.retry(run, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 4 }
            let lines = try await harness.lines(run)
            let retried = try #require(lines.firstIndex(of: "operator.action"))
            #expect(lines.dropFirst(retried + 1).first == "run.unparked")
            let attributes = try await harness.attributes(.operatorAction, of: run)
            #expect(attributes["action"]?.stringValue == "retry" && attributes["refused"]?.stringValue == nil)
            #expect(attributes["by"]?.objectValue?["id"]?.stringValue == "bob")
            gate.open()
            #expect(try await harness.result(run) == "paid go")
        }
    }

    @Test func `after a retry the deaths of a poisoned run are counted anew, and the retry counts once`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.poisoned(gate)
            try await harness.engine.client.retry(run, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 4 }
            try await harness.dieThreeTimes(run, gate, arrivals: 4)
            try await harness.until(run, is: .parked)
            #expect(try await harness.count("run.unparked", in: run) == 1)
            #expect(try await harness.count("run.parked", in: run) == 2)
            #expect(gate.arrivals == 6)
        }
    }

    @Test func `a poisoned run is terminated without its code`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.poisoned(gate)
            try await harness.engine.client.terminate(run, by: EngineHarness.bob)
            try await harness.until(run, is: .terminated)
            #expect(try await harness.attributes(.runTerminated, of: run)["without_code"]?.boolValue == true)
            #expect(gate.arrivals == 3)
        }
    }

    @Test func `a poisoned run's step in doubt is resolved without its code, and the run stays parked`() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            let run = try await harness.poisoned(gate, isInDoubt: true)
            let note = try await harness.record(run).note
            let client = try harness.engine.client
            try await client.resolve(run, step: "pay", .happened(result: Data("\"paid\"".utf8)), by: EngineHarness.bob)
            try await harness.until(run, has: "step.resolved pay")
            try await harness.until(run, is: .parked)
            #expect(try await harness.record(run).note == note && gate.arrivals == 4)
            try await client.retry(run, by: EngineHarness.bob)
            gate.open()
            try await client.signal(run, Poke.self, "go", by: EngineHarness.bob)
            #expect(try await harness.result(run) == "paid go")
            #expect(harness.effects.count("pay") == 1)
        }
    }
}

extension CommitItem {
    func records(_ kind: EventKind) -> Bool {
        guard case .advance(let advance) = self else { return false }
        return advance.events.contains { $0.kind == kind }
    }
}

extension EngineHarness {
    /// Pays at most once, then waits to be poked.
    fileprivate func payer(_ gate: StepGate? = nil) -> Flow {
        let effects = effects
        return Flow { input, context in
            let paid = try await context.step("pay", input: input, .atMostOnce(inDoubt: .askPerson), policy: .plain()) { _, _ in
                effects.add("pay")
                await gate?.hang()
                return "paid"
            } undo: { _, _ in
                effects.add("refund")
            }
            return try await "\(paid) \(context.signal(Poke.self))"
        }
    }

    /// Code that does not fit the history of a payer.
    fileprivate func stranger() -> Flow { Flow { _, context in try await context.signal(Poke.self) } }

    /// A run that was terminated while it paid.
    fileprivate func terminatedInDoubt() async throws -> RunID {
        let gate = gate()
        try await open { payer(gate) }
        let run = try await start()
        try await until { gate.arrivals == 1 }
        try await engine.client.terminate(run.id, by: Self.bob)
        try await until(run.id, is: .terminated)
        #expect(try await lines(run.id) == ["run.started", "step.intended pay", "step.in_doubt pay", "run.terminated"])
        return run.id
    }

    /// A run whose process died while it paid; build-1 has the code that fits.
    fileprivate func parkedInDoubt() async throws -> RunID {
        let gate = gate()
        try await open { payer(gate) }
        let run = try await start()
        try await until { gate.arrivals == 1 }
        try await crash()
        try await open { payer() }
        try await until(run.id, is: .parked)
        #expect(try await count("step.in_doubt pay", in: run.id) == 1)
        return run.id
    }

    /// The same, met by build-2, which does not fit.
    fileprivate func blockedInDoubt() async throws -> RunID {
        let run = try await parkedInDoubt()
        try await stop()
        try await open(build: "build-2") { stranger() }
        try await engine.client.signal(run, Poke.self, "go", by: Self.bob)
        try await until(run, is: .blocked)
        return run
    }

    /// A run that has taken its process down three times while it looked for something, which it does at the gate.
    fileprivate func poisoned(_ gate: StepGate, isInDoubt: Bool = false) async throws -> RunID {
        let payGate = isInDoubt ? self.gate() : nil
        try await openLooker(gate, payGate)
        let run = try await start()
        if let payGate {
            try await until { payGate.arrivals == 1 && gate.arrivals == 1 }
            // This death makes progress: the payment is in doubt.
            try await crash()
            try await openLooker(gate, payGate)
            try await until(run.id, has: "step.in_doubt pay")
            try await until { gate.arrivals == 2 }
        } else {
            try await until { gate.arrivals == 1 }
        }
        try await dieThreeTimes(run.id, gate, arrivals: gate.arrivals, payGate)
        try await until(run.id, is: .parked)
        return run.id
    }

    /// Three deaths without progress, and the opening after the last of them.
    fileprivate func dieThreeTimes(_ run: RunID, _ gate: StepGate, arrivals: Int, _ payGate: StepGate? = nil) async throws {
        for death in 1...3 {
            try await crash()
            try await openLooker(gate, payGate)
            guard death < 3 else { return }
            // The second time it comes back late.
            try await advance(by: .milliseconds(250), whileWaiting: run) { gate.arrivals == arrivals + death }
        }
    }

    private func openLooker(_ gate: StepGate, _ payGate: StepGate?) async throws {
        let payer = payer(payGate)
        let flow = Flow { input, context in
            async let looked = context.read("look", input: input) { text, _ in
                await gate.hang()
                return text
            }
            let result = try await payer.body(input, context)
            _ = try await looked
            return result
        }
        let free = Flow { input, context in
            _ = try await context.read("look", input: input) { text, _ in
                await gate.hang()
                return text
            }
            return try await "paid \(context.signal(Poke.self))"
        }
        try await open {
            payGate == nil ? free : flow
            NewerFlow { input, _ in input }
        }
    }
}
