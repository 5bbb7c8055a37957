import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// What an author may rely on without doing anything for it.
@Suite(.timeLimit(.minutes(5))) struct DurabilityTests {
    /// Two steps; the second looks at what is on disk when it begins.
    private func twoSteps(_ harness: EngineHarness) -> Flow {
        Flow { [effects = harness.effects] input, context in
            let made = try await context.step("first", input: input, .idempotent(retention: .forever), irreversible: "x") {
                text, step in
                effects.add("first", key: step.idempotencyKey)
                return text + "1"
            }
            return try await context.step("second", input: made, .atMostOnce(inDoubt: .askPerson), irreversible: "x") {
                text, step in
                effects.add("second")
                return try await harness.onDisk(step.runID) + " " + text
            }
        }
    }

    // Promise: 2
    @Test func aStepBeginsWhenWhatItFollowsIsOnDiskWithItsInputItsResultAndItsPlace() async throws {
        try await withEngines { harness in
            try await harness.open { twoSteps(harness) }
            let run = try await harness.start()
            let seen = #"run.started "x", step.succeeded first "x" "x1", step.intended second "x1" x1"#
            #expect(try await run.result() == seen)
        }
    }

    // Promise: 2
    @Test func nothingIsBegunByAResultThatDidNotReachTheDisk() async throws {
        try await withEngines { harness in
            harness.script.set { call in
                guard call.records(.stepSucceeded, "first") else { return .apply }
                // Whatever does not wait for the commit begins meanwhile.
                for _ in 0..<2_000 { await Task.yield() }
                return .dieBefore
            }
            try await harness.open { twoSteps(harness) }
            let run = try await harness.start()
            try await harness.until { harness.isDead }
            try await harness.crash()
            #expect(harness.effects.all == ["first"])
            #expect(try await harness.lines(run.id) == ["run.started"])
            harness.script.set(nil)
            try await harness.open { twoSteps(harness) }
            #expect(try await harness.result(run.id).hasSuffix(" x1"))
            #expect(harness.effects.all == ["first", "first", "second"])
            #expect(harness.effects.distinct("first") == 1)
        }
    }

    // Promise: 7
    @Test func anOrdinaryLoopGoesOnWhereItWasWithoutAWordAboutIt() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                var done = ""
                for name in input.map(String.init) {
                    done += try await context.step(name, input: done, .idempotent(retention: .forever), irreversible: "x") {
                        _, step in
                        effects.add(name, key: step.idempotencyKey)
                        if effects.count(name) == 1 { throw Hiccup() }
                        return name
                    }
                    try await context.sleep(for: .days(1))
                }
                return done
            }
            try await harness.open { flow }
            let run = try await harness.start("abc")
            for (number, name) in ["a", "b", "c"].enumerated() {
                try await harness.until(run.id, has: "step.attempt_failed \(name)")
                try await harness.until(run.id, is: .waiting)
                try await harness.crash()
                try await harness.open { flow }
                try await harness.untilRecovered()
                harness.clock.advance(by: .seconds(60))
                try await harness.until(run.id, has: number == 0 ? "timer.started sleep" : "timer.started sleep#\(number + 1)")
                try await harness.until(run.id, is: .waiting)
                try await harness.crash()
                try await harness.open { flow }
                try await harness.untilRecovered()
                harness.clock.advance(by: .days(1))
            }
            #expect(try await harness.result(run.id) == "abc")
            #expect(effects.all == ["a", "a", "b", "b", "c", "c"])
        }
    }

    // Promise: 8
    @Test func aRunBranchesOnWhatItFindsAfterAResumeAndAReplayKeepsToIt() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { _, context in
                func price() async throws -> String {
                    try await context.read("price") {
                        effects.add("look")
                        return effects.count("look") < 2 ? "low" : "high"
                    }
                }
                var way = try await price()
                _ = try await context.signal(Poke.self)
                way += " \(try await price())"
                _ = try await context.signal(Poke.self)
                if way == "low high" {
                    try await context.act("sell", input: way, .idempotent(retention: .forever), irreversible: "x") { _, _ in
                        effects.add("sell")
                    }
                }
                return way
            }
            try await harness.open { flow }
            let run = try await harness.start()
            for number in 1...2 {
                try await harness.until(run.id, has: number == 1 ? "step.succeeded price" : "step.succeeded price#2")
                try await harness.until(run.id, is: .waiting)
                try await harness.crash()
                try await harness.open { flow }
                try await harness.engine.client.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            }
            #expect(try await harness.result(run.id) == "low high")
            // Each price was looked at once; what was found is what the branch went by, three processes later.
            #expect(effects.all == ["look", "look", "sell"])
        }
    }

    // Promise: 5, 6
    @Test func aLoopOfItsOwnThatTriesAgainIsBlockedAndNotTakenForAStep() async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            try await harness.open {
                Flow { input, _ in
                    while true {
                        effects.add("send")
                        // A pause of the author's own: nothing records it.
                        try await gate.pass()
                        if effects.count("send") == 3 { return input }
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.attributes(.runBlocked, of: run.id)["reason"] == "foreign_wait")
            gate.open()
            #expect(effects.all == ["send"])
            #expect(try await harness.record(run.id).state == .blocked)
        }
    }

    // Promise: 6
    @Test func aRunThatIsStuckIsToldFromOneThatWaitsOrWorks() async throws {
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { input, context in
                    switch input {
                    case "works":
                        return try await context.read("look") {
                            try await gate.pass()
                            return input
                        }
                    case "sleeps": try await context.sleep(for: .days(1))
                    case "listens": return try await context.signal(Poke.self)
                    case "asks": return try await context.ask("colour", "Which colour?", as: String.self)
                    default:
                        try await context.act(
                            "send", input: input, .idempotent(retention: .forever), policy: .plain(attempts: 1), irreversible: "x"
                        ) { _, _ in throw Hiccup() }
                    }
                    return input
                }
            }
            let expected: [(String, RunState, String)] = [
                ("works", .running, "is running on node"), ("sleeps", .waiting, "Timer 'sleep' fires at"),
                ("listens", .waiting, "waits for a signal"), ("asks", .waiting, "Question 'colour' waits for an answer"),
                ("stuck", .parked, "Step 'send' is in doubt"),
            ]
            for (input, state, sentence) in expected {
                let run = try await harness.start(input)
                if input == "works" { try await harness.until { gate.arrivals == 1 } }
                try await harness.until(run.id, is: state)
                let explanation = try await harness.observer().explain(run.id, now: harness.clock.now()).1
                #expect(explanation.sentences.contains { $0.contains(sentence) }, "\(explanation.sentences)")
                // Whatever does not move by itself comes with the way to move it.
                #expect(explanation.moves.isEmpty == ["works", "sleeps"].contains(input), "\(input): \(explanation.moves)")
            }
        }
    }

    // Promise: 26
    @Test func everythingThatBefallsARunIsInItsHistoryInOrder() async throws {
        try await withEngines { harness in
            let effects = harness.effects, gate = harness.gate()
            let flow = Flow { input, context in
                let seen = try await context.read("look", input: input) { text, _ in text }
                try await context.act(
                    "send", input: seen, .idempotent(retention: .forever), policy: .plain(attempts: 2), irreversible: "x"
                ) { _, step in
                    effects.add("send")
                    if step.attempt < 3 { throw Hiccup(isDefinite: true) }
                }
                let word = try await context.signal(Poke.self)
                try await context.act(
                    "switch", input: word, .atMostOnce(inDoubt: .askPerson), policy: .plain(),
                    approval: .required(by: .anyone, within: .days(1))
                ) { _, _ in
                    try await gate.pass()
                } undo: { _, _ in
                }
                try await context.sleep(for: .days(1))
                throw Rejected("late")
            }
            try await harness.open { flow }
            let run = try await harness.start().id, outside = try await harness.observer()
            try await harness.until(run, has: "step.attempt_failed send")
            try await harness.until(run, is: .waiting)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(run, is: .parked)
            try await harness.engine.client.retry(run, step: "send", by: EngineHarness.bob)
            try await harness.until(run, has: "step.succeeded send")
            try await harness.engine.client.signal(run, Poke.self, "now", by: EngineHarness.bob)
            try await harness.until(run, has: "approval.requested switch")
            let approval = try #require(try await outside.pendingApprovals(of: run).first)
            try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            try await harness.until { gate.arrivals == 1 }
            try await harness.crash()
            try await harness.open { flow }
            try await harness.until(run, is: .parked)
            try await harness.engine.client.retry(run, step: "switch", by: EngineHarness.bob)
            try await harness.until(run, has: "operator.action switch")
            try await harness.until(run, is: .parked)
            try await harness.engine.client.resolve(run, step: "switch", .happened(result: nil), by: EngineHarness.bob)
            try await harness.until(run, has: "timer.started sleep")
            try await harness.until(run, is: .waiting)
            harness.clock.advance(by: .days(1))
            try await harness.until(run, is: .failed)
            #expect(
                try await harness.lines(run) == [
                    "run.started", "step.succeeded look", "step.attempt_failed send", "step.attempt_failed send", "run.parked",
                    "operator.action send", "run.unparked", "step.succeeded send", "signal.received poke",
                    "approval.requested switch", "approval.decided switch", "approval.consumed switch", "step.intended switch",
                    "run.resumed", "step.in_doubt switch", "run.parked", "operator.action switch", "step.resolved switch",
                    "run.unparked", "timer.started sleep", "timer.fired sleep", "undo.started switch", "undo.succeeded switch",
                    "run.failed",
                ])
            #expect(try await harness.attributes(.runResumed, of: run)["clean"] == false)
            let events = try await harness.history(run)
            for kind in [EventKind.operatorAction, .signalReceived, .approvalDecided, .stepResolved] {
                for event in events where event.kind == kind {
                    let who = try event.attributes.object()["by"]?.objectValue?["id"]?.stringValue
                    #expect(who == "bob", "\(kind.rawValue)")
                }
            }
        }
    }
}

extension EngineHarness {
    /// Waits until the engine has looked at all that was there when it was opened: what comes due later has to wake it.
    fileprivate func untilRecovered() async throws { try await until { try self.engine.recovery.isFinished } }

    /// What somebody who opens the file beside the engine finds in it, with inputs and results.
    fileprivate func onDisk(_ run: RunID) async throws -> String {
        func text(_ value: StoredValue?) -> String {
            if case .inline(let bytes)? = value { " " + String(decoding: bytes, as: UTF8.self) } else { "" }
        }
        return try await history(run).map {
            "\($0.kind.rawValue)\($0.subject.isEmpty ? "" : " ")\($0.subject)\(text($0.input))\(text($0.output))"
        }.joined(separator: ", ")
    }
}

extension StoreCall {
    /// Whether it is the commit of such an event.
    func records(_ kind: EventKind, _ subject: String) -> Bool {
        guard case .commit(_, let items) = self else { return false }
        return items.contains { item in
            guard case .advance(let advance) = item else { return false }
            return advance.events.contains { $0.kind == kind && $0.subject == subject }
        }
    }
}
