import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct BlockedTests {
    private static func flow(_ step: String, input: String? = nil) -> Flow {
        Flow { given, context in
            let made = try await context.read(step, input: input ?? given) { text, _ in text }
            _ = try await context.signal(Poke.self)
            return made
        }
    }

    // Promise: 8, 27
    @Test func aHistoryThatDoesNotFitBlocksTheRunAndTheRightCodeContinuesIt() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow("look") }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") { Self.flow("peek") }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            let note = try #require(try await harness.record(run.id).note)
            #expect(note.contains("look") && note.contains("peek"))
            try await harness.stop()
            try await harness.open(build: "build-2") { Self.flow("peek") }
            try await harness.stop()
            #expect(try await harness.count("run.blocked look", in: run.id) == 1)
            try await harness.open(build: "build-3") { Self.flow("look") }
            #expect(try await harness.result(run.id) == "x")
            #expect(try await harness.count("run.unblocked", in: run.id) == 1)
        }
    }

    @Test func aChangedInputBlocksAndIsNamed() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow("look", input: "one") }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open(build: "build-2") { Self.flow("look", input: "two") }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.record(run.id).note?.contains("another input") == true)
        }
    }

    @Test(arguments: ["value_not_encodable", "payload_too_large"])
    func anInputThatCannotBeRecordedBlocksTheRunAndABuildThatMendsItGoesOn(code: String) async throws {
        func flow(_ amount: Double, _ text: String, _ effects: Effects) -> Flow {
            Flow { input, context in
                try await context.act("reserve", input: input, .idempotent(retention: .forever)) { _, _ in
                    effects.add("reserve")
                } undo: { _, _ in
                    effects.add("release")
                }
                do {
                    return try await context.read("convert", input: [text: amount]) { _, _ in "done" }
                } catch let error as PerdureError {
                    // Code that swallows it changes nothing.
                    return error.code.rawValue
                }
            }
        }
        try await withEngines { harness in
            let isNumber = code == "value_not_encodable", long = String(repeating: "x", count: 2_000)
            try await harness.open(configure: { $0.payloadLimit = 1_000 }) {
                flow(isNumber ? .nan : 1, isNumber ? "a" : long, harness.effects)
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            let blocked = try await harness.attributes(.runBlocked, of: run.id)
            #expect(blocked["reason"] == "value_refused")
            #expect(try await harness.record(run.id).note?.contains("the input of step 'convert'") == true)
            try await harness.stop()
            try await harness.open(build: "build-2") { flow(1, "a", harness.effects) }
            #expect(try await harness.result(run.id) == "done")
            #expect(harness.effects.all == ["reserve"])
        }
    }

    @Test func aBuildWithTheSameFingerprintDoesNotTryAgain() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow("look") }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open(build: "build-2") { Self.flow("peek") }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            try await harness.stop()
            try await harness.open(build: "build-2") { Self.flow("look") }
            let other = try await harness.start()
            try await harness.until(other.id, is: .waiting)
            #expect(try await harness.record(run.id).state == .blocked)
            try await harness.stop()
            try await harness.open(build: "build-4") { Self.flow("look") }
            #expect(try await harness.result(run.id) == "x")
        }
    }

    @Test func oneNameUsedByTwoTasksBlocksWithAMessageThatSaysWhatToDo() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await withThrowingTaskGroup(of: String.self) { group in
                        for _ in 0..<2 { group.addTask { try await context.read("look", input: input) { text, _ in text } } }
                        return try await group.reduce("", +)
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            let note = try #require(try await harness.record(run.id).note)
            #expect(note.contains("'look' is used by two tasks") && note.contains("id:"))
            #expect(try await harness.attributes(.runBlocked, of: run.id)["reason"]?.stringValue == "name_taken")
        }
    }

    @Test func tasksThatGiveTheirUsesAnIDGoOn() async throws {
        try await withEngines { harness in
            let flow = Flow { input, context in
                try await withThrowingTaskGroup(of: (Int, String).self) { group in
                    for number in 0..<5 {
                        group.addTask {
                            (number, try await context.read("look", id: "\(number)", input: number) { number, _ in "\(number)" })
                        }
                    }
                    let all = try await group.reduce(into: []) { $0.append($1) }
                    try await context.sleep(for: .seconds(1))
                    return all.sorted { $0.0 < $1.0 }.map(\.1).joined()
                }
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open { flow }
            harness.clock.advance(by: .seconds(1))
            #expect(try await harness.result(run.id) == "01234")
        }
    }

    enum Foreign: String, CaseIterable { case sleep, task, actor, body }

    // Promise: 5
    @Test(arguments: Foreign.allCases) func awaitingAnythingOutsideBlocksTheRun(_ foreign: Foreign) async throws {
        actor Helper {
            func use(_ context: WorkflowContext) async throws -> String { try await context.read("inside") { "x" } }
        }
        try await withEngines { harness in
            let gate = harness.gate()
            try await harness.open {
                Flow { input, context in
                    switch foreign {
                    case .sleep:
                        try await gate.pass()
                        return input
                    case .task: return try await Task { try await context.read("inside") { "x" } }.value
                    case .actor: return try await Helper().use(context)
                    case .body:
                        return try await context.read("outer", policy: .plain()) { try await context.read("inner") { "x" } }
                    }
                }
            }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            let note = try #require(try await harness.record(run.id).note)
            #expect(
                note.contains("'read', 'step' or 'act'") || note.contains("outside the run's own tasks")
                    || note.contains("on an actor"), "\(note)")
        }
    }

    @Test func aBlockedRunCanBeTerminatedWithoutItsCode() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow("look") }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.crash()
            try await harness.open(build: "build-2") { Self.flow("peek") }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            try await harness.until(run.id, is: .blocked)
            try await harness.engine.client.terminate(run.id, reason: "wrong", by: EngineHarness.bob)
            let error = await #expect(throws: PerdureError.self) { try await harness.result(run.id) }
            #expect(error?.code == .runTerminated)
            let end = try await harness.attributes(.runTerminated, of: run.id)
            #expect(end["by"]?.objectValue?["id"]?.stringValue == "bob")
        }
    }

    @Test func aRunOfAWorkflowThatNobodyHostsWaitsAndCanBeTerminated() async throws {
        try await withEngines { harness in
            try await harness.open { Self.flow("look") }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            try await harness.stop()
            try await harness.open { NewerFlow { input, _ in input } }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            #expect(try await harness.engine.start(NewerFlow.self, input: "y", by: EngineHarness.ada).result() == "y")
            #expect(try await harness.record(run.id).state == .waiting)
            try await harness.engine.client.terminate(run.id, by: EngineHarness.bob)
            try await harness.until(run.id, is: .terminated)
            #expect(try await harness.count("signal.undelivered poke", in: run.id) == 1)
        }
    }

    // Promise: 3
    @Test func twoVersionsAreHostedSideBySideAndARunStaysWithItsOwn() async throws {
        try await withEngines { harness in
            let old = Flow { _, context in "old \(try await context.signal(Poke.self))" }
            let new = NewerFlow { _, context in "new \(try await context.signal(Poke.self))" }
            try await harness.open { old }
            let first = try await harness.start()
            try await harness.until(first.id, is: .waiting)
            try await harness.stop()
            try await harness.open(build: "build-2") {
                old; new
            }
            let second = try await harness.engine.start(workflow: "flow", json: Data(#""x""#.utf8), by: EngineHarness.ada)
            for run in [first.id, second] { try await harness.engine.client.signal(run, Poke.self, "s", by: EngineHarness.bob) }
            #expect(try await harness.result(first.id) == "old s")
            #expect(try await harness.result(second) == "new s")
        }
    }

    @Test func `a retry of a run that is blocked for a passing cause lets its build try again`() async throws {
        try await withEngines { harness in
            let flow = Flow { input, context in
                try await context.report(String(repeating: "x", count: 100))
                return input
            }
            try await harness.open(configure: { $0.payloadLimit = 50 }) { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .blocked)
            try await harness.stop()
            try await harness.open { flow }
            // The build is the same, and is not asked by itself.
            let other = try await harness.start("y")
            #expect(try await other.result() == "y")
            #expect(try await harness.record(run.id).state == .blocked)
            try await harness.engine.client.retry(run.id, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "x")
            let lines = try await harness.lines(run.id)
            #expect(lines.contains("operator.action") && lines.count { $0 == "run.unblocked" } == 1)
            #expect(try await harness.attributes(.operatorAction, of: run.id)["refused"]?.stringValue == nil)
        }
    }
}
