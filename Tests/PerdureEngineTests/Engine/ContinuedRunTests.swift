import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Counts down, one turn for each run, and hands the rest on.
private struct Countdown: Workflow {
    static let name = "countdown"
    static let version: WorkflowVersion = "1"
    struct Input: Codable, Sendable {
        var left: Int
        var seen: [String] = []
    }
    let turn: @Sendable (Input, WorkflowContext) async throws -> [String]

    init(_ turn: @escaping @Sendable (Input, WorkflowContext) async throws -> [String] = { input, _ in input.seen }) {
        self.turn = turn
    }

    func run(_ input: Input, _ context: WorkflowContext) async throws -> [String] {
        let seen = try await turn(input, context)
        if input.left == 0 { return seen }
        try await context.continueAsNew(Self.self, input: Input(left: input.left - 1, seen: seen))
    }
}

private enum Restart: Update {
    typealias Payload = Int
    typealias Reply = String
    static let name = "restart"
}

/// Loops that never end, one run for each turn.
@Suite(.timeLimit(.minutes(5))) struct ContinuedRunTests {
    private func step(_ name: String, _ context: WorkflowContext, _ effects: Effects) async throws {
        try await context.act(name, input: name, .idempotent(retention: .forever)) { name, step in
            effects.add(name, key: step.idempotencyKey)
        } undo: { name, step in
            effects.add("undo \(name)", key: step.idempotencyKey)
        }
    }

    private func chain(_ run: RunID, _ harness: EngineHarness) async throws -> [RunRecord] {
        var records = [try await harness.record(run)]
        while let next = records.last?.successor { records.append(try await harness.record(next)) }
        return records
    }

    @Test func aRunGoesOnAsOneWithAShortHistoryUntilTheLastAndItsResultIsTheLastOnes() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Countdown { input, context in
                    try await context.scope("turn") { try await step("turn \(input.left)", context, effects) }
                    return input.seen + ["\(input.left)"]
                }
            }
            let run = try await harness.engine.start(
                Countdown.self, input: .init(left: 3), key: "k", labels: ["customer": "7"], deadline: .days(1),
                by: EngineHarness.ada)
            #expect(try await run.result() == ["3", "2", "1", "0"])
            let chain = try await chain(run.id, harness)
            try #require(chain.map(\.stateName) == ["continued", "continued", "continued", "completed"])
            #expect(chain.map(\.key) == [nil, nil, nil, "k"])
            let observer = try await harness.observer()
            let deadline = try await harness.attributes(.runStarted, of: run.id)["deadline"]
            for record in chain {
                #expect(try await harness.lines(record.id).count == 3)
                let started = try #require(try await harness.history(record.id).first).attributes.object()
                #expect(started["by"]?["id"] == "ada" && started["labels"] == ["customer": "7"])
                #expect(started["deadline"] == deadline)
                #expect(try await observer.latest(of: record.id) == chain.last?.id)
            }
            #expect(effects.all == ["turn 3", "turn 2", "turn 1", "turn 0"])
            #expect(try await run.info().continuedAs == chain[1].id)
            #expect(try await harness.engine.find(Countdown.self, key: "k")?.id == chain.last?.id)
        }
    }

    @Test func aKeyStaysWithTheChainOfItsRuns() async throws {
        try await withEngines { harness in
            try await harness.open {
                Countdown { input, context in
                    if input.left == 0 { _ = try await context.signal(Poke.self) }
                    return input.seen
                }
            }
            let engine = try harness.engine
            let run = try await engine.start(Countdown.self, input: .init(left: 1), key: "k", by: EngineHarness.ada)
            try await harness.until { try await harness.record(run.id).successor != nil }
            let again = try await engine.start(Countdown.self, input: .init(left: 1), key: "k", by: EngineHarness.ada)
            let successor = try await harness.record(run.id).successor
            #expect(!again.isNew && again.id == successor)
            let other = await #expect(throws: PerdureError.self) {
                try await engine.start(Countdown.self, input: .init(left: 0), key: "k", by: EngineHarness.ada)
            }
            #expect(other?.code == .runConflict)
            try await run.signal(Poke.self, "go", by: EngineHarness.bob)
            #expect(try await again.result() == [])
        }
    }

    @Test func signalsThatNobodyTookAndSignalsToAnEarlierRunReachTheRunThatIsOpen() async throws {
        try await withEngines { harness in
            try await harness.open {
                Countdown { input, context in try await input.seen + [context.signal(Poke.self)] }
            }
            let run = try await harness.engine.start(Countdown.self, input: .init(left: 3), by: EngineHarness.ada)
            try await run.signal(Poke.self, "a", id: "1", by: EngineHarness.bob)
            try await run.signal(Poke.self, "b", id: "2", by: EngineHarness.bob)
            try await harness.until { try await chain(run.id, harness).count == 3 }
            // The first one again, and two of its own.
            try await run.signal(Poke.self, "a", id: "1", by: EngineHarness.bob)
            try await run.signal(Poke.self, "c", id: "3", by: EngineHarness.bob)
            try await run.signal(Poke.self, "d", id: "4", by: EngineHarness.bob)
            #expect(try await run.result() == ["a", "b", "c", "d"])
        }
    }

    @Test func aRunIsContinuedOnTheNewestVersion() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    if input == "stay" { return "old" }
                    try await context.continueAsNew(Flow.self, input: "next")
                }
                NewerFlow { input, _ in "new \(input)" }
            }
            let run = try await harness.start()
            #expect(try await run.result() == "new next")
            let chain = try await chain(run.id, harness)
            #expect(chain.map(\.version) == ["1", "2"])
        }
    }

    @Test func pinningTheFirstRunPinsTheOneThatIsOpen() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    if input == "next" { return "old" }
                    try await context.continueAsNew(Flow.self, input: "next")
                }
                NewerFlow { _, context in try await context.signal(Poke.self) }
            }
            let run = try await harness.start()
            try await harness.until { try await chain(run.id, harness).last?.state == .waiting }
            let client = try harness.engine.client
            let error = await #expect(throws: PerdureError.self) {
                try await client.repin(run.id, to: "2", by: EngineHarness.bob)
            }
            #expect(error?.code == .usage, "the first one was on 1, but the open one is on 2")
            try await client.repin(run.id, to: "1", by: EngineHarness.bob)
            #expect(try await run.result() == "old")
            #expect(try await chain(run.id, harness).map(\.version) == ["1", "1"])
        }
    }

    @Test func aCancellationOfTheFirstRunReachesTheOneThatIsOpen() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Countdown { input, context in
                    try await step("turn \(input.left)", context, effects)
                    if input.left == 0 { try await context.sleep(for: .days(1)) }
                    return []
                }
            }
            let run = try await harness.engine.start(Countdown.self, input: .init(left: 1), by: EngineHarness.ada)
            try await harness.until { effects.count("turn 0") == 1 }
            try await run.cancel(by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(error?.code == .runCancelled)
            // What the first one did stays: it has ended in order.
            #expect(effects.all == ["turn 1", "turn 0", "undo turn 0"])
        }
    }

    @Test func aParentGetsTheResultOfTheLastRunOfItsChild() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.child(Countdown.self, input: .init(left: 2), irreversible: "x").joined()
                }
                Countdown { input, _ in input.seen + ["\(input.left)"] }
            }
            let run = try await harness.start()
            #expect(try await run.result() == "210")
            let first = try await harness.child("countdown", of: run.id)
            let attributes = try await harness.attributes(.childCompleted, of: run.id)
            #expect(attributes["run"] == .string(first.description))
            let last = try await harness.observer().latest(of: first)
            #expect(attributes["last"] == .string(last.description))
            let parts = try await [first, last].asyncMap {
                (record: try await harness.record($0), events: try await harness.history($0))
            }
            let report = HistoryVerifier.verify(
                try await harness.record(run.id), try await harness.history(run.id), children: parts)
            #expect(report.problems == [])
        }
    }

    @Test func aParentThatIsCancelledCancelsTheRunThatItsChildIsContinuedAs() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.child(Countdown.self, input: .init(left: 1), irreversible: "x").joined()
                }
                Countdown { input, context in
                    if input.left == 0 { try await context.sleep(for: .days(1)) }
                    return []
                }
            }
            let run = try await harness.start()
            let child = try await harness.child("countdown", of: run.id)
            try await harness.until { try await chain(child, harness).last?.state == .waiting }
            let (_, explanation) = try await harness.observer().explain(run.id, now: harness.clock.now())
            #expect(explanation.sentences.contains { $0.contains("Timer ") })
            try await run.cancel(by: EngineHarness.bob)
            try await harness.until(run.id, is: .cancelled)
            #expect(try await chain(child, harness).last?.state == .cancelled)
        }
    }

    @Test func aRunThatCannotBeContinuedWithWhatItsCodeGivesIsBlocked() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in try await context.continueAsNew(Countdown.self, input: .init(left: 1)) }
                Countdown()
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note?.contains("cannot be continued as one of 'countdown'") == true)
        }
    }

    @Test func labelsThatAResetHasPassedOverStayOnTheRunAndOnTheOneThatContinuesIt() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    try await context.label(["stage": "late"])
                    return try await context.signal(Poke.self)
                }
            }
            let run = try await harness.start().id
            try await harness.until(run, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") {
                Flow { input, context in
                    if input == "next" { return try await context.signal(Poke.self) }
                    try await context.continueAsNew(Flow.self, input: "next")
                }
            }
            let client = try harness.engine.client
            try await client.reset(run, to: 1, by: EngineHarness.bob)
            try await harness.until(run, has: "run.continued")
            let chain = try await chain(run, harness)
            for one in chain { #expect(try await client.labels(of: one.id) == ["stage": "late"]) }
            #expect(chain.count == 2)
        }
    }

    @Test func aRunThatSwallowsItsContinuationInALoopIsBlocked() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { _, context in
                    while true {
                        do { try await context.continueAsNew(Flow.self, input: "x") } catch {}
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note?.contains("swallows the error of 'continueAsNew'") == true)
        }
    }

    @Test func anUpdateWhoseHandlerContinuesTheRunIsAnsweredByTheRunThatTookIt() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    if input.count == 4 { return input }
                    try await context.update(Restart.self) { _ in
                        try await context.continueAsNew(Flow.self, input: input + "x")
                    }
                    return input
                }
            }
            let run = try await harness.start(), client = try harness.engine.client
            let error = await #expect(throws: PerdureError.self) {
                try await client.update(run.id, Restart.self, 1, by: EngineHarness.bob)
            }
            #expect(error?.code == .updateRejected)
            // The answer is there as soon as it is on record, which may be before the end is.
            try await harness.until(run.id, has: "run.continued")
            let chain = try await chain(run.id, harness)
            try #require(chain.map(\.stateName).first == "continued" && chain.count == 2)
            #expect(
                try await harness.lines(run.id).suffix(2).map { $0.prefix { $0 != " " } } == ["update.rejected", "run.continued"])
            #expect(try await harness.count("update.received restart", in: chain[1].id) == 0)
        }
    }

    @Test func anUpdateIsAnsweredThoughAnotherTaskContinuesTheRunMeanwhile() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    if input != "x" { return input }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            try await context.update(Restart.self) { _ in
                                try await context.sleep(for: .days(1))
                                return "slept"
                            }
                        }
                        group.addTask {
                            _ = try await context.signal(Poke.self)
                            try await context.continueAsNew(Flow.self, input: "next")
                        }
                        while try await group.next() != nil {}
                    }
                    return input
                }
            }
            let run = try await harness.start(), client = try harness.engine.client
            let reply = Task { try await client.update(run.id, Restart.self, 1, by: EngineHarness.bob) }
            try await harness.until { try await harness.lines(run.id).contains { $0.hasPrefix("timer.started") } }
            try await client.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await reply.value }
            #expect(error?.code == .updateRejected)
            #expect(try await run.result() == "next")
        }
    }

    @Test func whatHasCompletedInTheScopeOfAnotherTaskStaysWhenTheRunIsContinued() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    if input != "x" { return input }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            try await context.scope("reserve") {
                                try await step("book", context, effects)
                                try await context.sleep(for: .days(1))
                            }
                        }
                        group.addTask {
                            _ = try await context.signal(Poke.self)
                            try await context.continueAsNew(Flow.self, input: "next")
                        }
                        while try await group.next() != nil {}
                    }
                    return input
                }
            }
            let run = try await harness.start()
            try await harness.until { try await harness.lines(run.id).contains { $0.hasPrefix("timer.started") } }
            try await harness.engine.client.signal(run.id, Poke.self, "go", by: EngineHarness.bob)
            #expect(try await run.result() == "next")
            #expect(effects.all == ["book"])
        }
    }

    @Test func aRunWithManyTasksThatHaveNotBegunIsContinued() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    if input != "x" { return input }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<150 { group.addTask { _ = try await context.signal(Poke.self) } }
                        try await context.continueAsNew(Flow.self, input: "next")
                    }
                    return input
                }
            }
            let run = try await harness.start()
            try await harness.until { [.completed, .blocked].contains(try await harness.record(run.id).state) }
            #expect(try await harness.record(run.id).stateName == "continued")
        }
    }

    @Test func runsThatContinueEachOtherAreExplainedAndHaveToSayTheSame() async throws {
        try await withEngines { harness in
            try await harness.open { Countdown() }
            let run = try await harness.engine.start(Countdown.self, input: .init(left: 1), by: EngineHarness.ada)
            _ = try await run.result()
            let first = try await harness.record(run.id), next = try await harness.record(try #require(first.successor))
            let observer = try await harness.observer()
            let before = try await observer.explain(first.id, now: harness.clock.now()).1
            #expect(before.sentences.first?.contains("was continued as run \(next.id)") == true)
            let after = try await observer.explain(next.id, now: harness.clock.now()).1
            #expect(after.sentences.contains("It continues run \(first.id)."))
            let events = try await harness.history(first.id), nextEvents = try await harness.history(next.id)
            let sound = HistoryVerifier.verify(first, events, successor: (next, nextEvents))
            #expect(sound.problems == [])
            #expect(HistoryVerifier.verify(next, nextEvents).problems == [])
            let other = try await harness.engine.start(Countdown.self, input: .init(left: 0), by: EngineHarness.bob)
            _ = try await other.result()
            let wrong = HistoryVerifier.verify(
                first, events, successor: (try await harness.record(other.id), try await harness.history(other.id)))
            #expect(Set(wrong.problems.map(\.rule)) == [.succession])
        }
    }

    @Test func aLoopGoesOnAlikeWhereverTheCrashIs() async throws {
        try await CrashSweep { harness in
            let effects = harness.effects
            return [
                RegisteredWorkflow(
                    Flow { input, context in
                        let poked = try await context.signal(Poke.self)
                        let made = try await context.step(
                            "turn", input: input + poked, .idempotent(retention: .forever), irreversible: "x"
                        ) {
                            text, step in
                            effects.add("turn \(text)", key: step.idempotencyKey)
                            return text
                        }
                        if made.count == 4 { return made }
                        try await context.continueAsNew(Flow.self, input: made)
                    })
            ]
        } drive: { harness, run in
            let client = try await harness.observer()
            for letter in ["a", "b", "c"] { try await client.signal(run, Poke.self, letter, id: letter, by: EngineHarness.bob) }
        } check: { harness, run, number async throws in
            #expect(try await harness.result(run) == "xabc", "crash at commit \(number)")
            for turn in ["xa", "xab", "xabc"] {
                #expect(harness.effects.distinct("turn \(turn)") == 1, "crash at commit \(number)")
            }
            #expect(try await harness.observer().store.runs(RunFilter()).count == 3, "crash at commit \(number)")
        } isOver: { harness, run in
            try await harness.observer().latestRecord(of: run).state.isFinal
        }.run()
    }
}

extension Array {
    fileprivate func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
        var all: [T] = []
        for element in self { all.append(try await transform(element)) }
        return all
    }
}
