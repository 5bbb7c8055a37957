import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

@Suite(.timeLimit(.minutes(5))) struct StartTests {
    struct Order: Codable, Sendable { var number: Int }
    struct Ordering: Workflow {
        static let name = "ordering"
        static let version: WorkflowVersion = "1"
        func run(_ input: Order, _ context: WorkflowContext) async throws -> Int { input.number }
    }

    @Test func theSameKeyAndInputIsTheSameRunAlsoAfterItClosed() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open {
                Flow { input, context in
                    try await context.act("do", input: input, .idempotent(retention: .forever), irreversible: "x") { _, _ in
                        effects.add("do")
                    }
                    return input
                }
            }
            let runs = try await withThrowingTaskGroup(of: RunID.self) { group in
                for _ in 0..<20 { group.addTask { try await harness.start("x", key: "k").id } }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(runs.count == 1)
            let run = try #require(runs.first)
            #expect(try await harness.result(run) == "x")
            #expect(try await harness.start("x", key: "k").id == run)
            #expect(effects.all == ["do"])
            let conflict = await #expect(throws: PerdureError.self) { try await harness.start("y", key: "k") }
            #expect(conflict?.code == .runConflict)
        }
    }

    @Test func anInputThatCannotBeReadNamesFieldAndType() async throws {
        try await withEngines { harness in
            let engine = try await harness.open { Ordering() }
            let error = await #expect(throws: PerdureError.self) {
                try await engine.start(workflow: "ordering", json: Data(#"{"number":"seven"}"#.utf8), by: EngineHarness.ada)
            }
            #expect(error?.code == .inputUndecodable)
            #expect(
                error?.message.contains("number") == true && error?.message.contains("Int") == true, "\(error?.message ?? "")")
            let broken = await #expect(throws: PerdureError.self) {
                try await engine.start(workflow: "ordering", json: Data("{".utf8), by: EngineHarness.ada)
            }
            #expect(broken?.code == .inputUndecodable)
            let unknown = await #expect(throws: PerdureError.self) {
                try await engine.start(workflow: "selling", json: Data("{}".utf8), by: EngineHarness.ada)
            }
            #expect(unknown?.code == .workflowUnknown && unknown?.message.contains("ordering") == true)
            #expect(try await harness.observer().runs().isEmpty)
        }
    }

    @Test func anInputOverTheLimitIsRefusedAndAnOutputOverItFailsTheRun() async throws {
        try await withEngines { harness in
            try await harness.open(configure: { $0.payloadLimit = 1_000 }) {
                Flow { _, _ in String(repeating: "x", count: 2_000) }
            }
            let large = await #expect(throws: PerdureError.self) { try await harness.start(String(repeating: "x", count: 2_000)) }
            #expect(large?.code == .payloadTooLarge)
            let run = try await harness.start()
            let failed = await #expect(throws: PerdureError.self) { try await run.result() }
            #expect(failed?.code == .runFailed)
            #expect(try await harness.attributes(.runFailed, of: run.id)["code"]?.stringValue == "payload_too_large")
        }
    }

    // Promise: 27
    @Test func randomNumbersUUIDsAndTheTimeAreTheSameOnEveryReplay() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            let flow = Flow { input, context in
                let values = try
                    "\(context.random("dice")) \(context.random("dice")) \(context.uuid("id")) \(context.random("small", in: 1...6)) \(context.now)"
                var generator = try context.randomGenerator("order")
                let order = Array(1...10).shuffled(using: &generator)
                effects.add("\(values) \(order)")
                _ = try await context.signal(Poke.self)
                return "\(values) \(order)"
            }
            try await harness.open { flow }
            let run = try await harness.start()
            try await harness.until(run.id, is: .waiting)
            harness.clock.advance(by: .seconds(60))
            try await harness.crash()
            try await harness.open { flow }
            try await harness.engine.client.signal(run.id, Poke.self, "s", by: EngineHarness.bob)
            let result = try await harness.result(run.id)
            #expect(effects.all == [result, result])
            #expect(Set(result.split(separator: " ").prefix(2)).count == 2)
        }
    }

    // Promise: 26
    @Test func whatAStepReceivesAndReturnsIsInHistoryInOrder() async throws {
        try await withEngines { harness in
            try await harness.open {
                Flow { input, context in
                    try await context.read("double", input: input) { text, _ in text + text }
                }
            }
            let run = try await harness.start("ab")
            _ = try await run.result()
            let events = try await harness.history(run.id)
            try #require(events.map(\.seq) == [1, 2, 3])
            #expect(events[1].input == .inline(Array(#""ab""#.utf8)) && events[1].output == .inline(Array(#""abab""#.utf8)))
            #expect(try events[0].attributes.object()["by"]?.objectValue?["id"]?.stringValue == "ada")
        }
    }
}
