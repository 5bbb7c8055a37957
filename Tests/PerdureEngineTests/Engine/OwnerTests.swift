import Foundation
import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// Workflows with and without somebody who answers for them.
@Suite(.timeLimit(.minutes(5))) struct OwnerTests {
    /// As `Flow`, but nobody answers for it.
    private struct OrphanFlow: Workflow {
        static let name = Flow.name
        static let version = Flow.version
        let body: @Sendable (String, WorkflowContext) async throws -> String
        func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
    }

    @Sendable private static func pay(_ effects: Effects, _ input: String, _ context: WorkflowContext) async throws -> String {
        try await context.act("reserve", input: input, .idempotent(retention: .forever)) { _, _ in
            effects.add("reserve")
        } undo: { _, _ in
            effects.add("release")
        }
        try await context.act("pay", input: input, .atMostOnce(inDoubt: .askPerson), irreversible: "the money has left") { _, _ in
            effects.add("pay")
        }
        return "paid"
    }

    @Test func `a run without an owner waits for a build that names one`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            try await harness.open { OrphanFlow { try await Self.pay(effects, $0, $1) } }
            let run = try await harness.engine.start(OrphanFlow.self, input: "x", by: EngineHarness.ada)
            try await harness.until(run.id, is: .blocked)
            #expect(try await harness.attributes(.runBlocked, of: run.id)["reason"] == "owner_missing")
            #expect(try await harness.record(run.id).note?.contains("static let owner") == true)
            #expect(effects.all == ["reserve"])
            try await harness.stop()
            try await harness.open(build: "build-2") { Flow { try await Self.pay(effects, $0, $1) } }
            #expect(try await harness.result(run.id) == "paid")
            #expect(effects.all == ["reserve", "pay"])
            #expect(try await harness.count("run.unblocked", in: run.id) == 1)
        }
    }

    @Test func `what was begun is not held back by a build that names nobody`() async throws {
        try await withEngines { harness in
            let effects = harness.effects
            @Sendable func body(_ input: String, _ context: WorkflowContext) async throws -> String {
                try await context.act(
                    "wipe", input: input, .idempotent(retention: .forever), approval: .required(by: .anyone, within: .days(9)),
                    irreversible: "it is empty"
                ) { _, _ in effects.add("wipe") }
                return "wiped"
            }
            try await harness.open { Flow { try await body($0, $1) } }
            let run = try await harness.start()
            try await harness.until(run.id, has: "approval.requested wipe")
            try await harness.stop()
            try await harness.open(build: "build-2") { OrphanFlow { try await body($0, $1) } }
            let approvals = try await harness.engine.client.pendingApprovals()
            let approval = try #require(approvals.first)
            try await harness.engine.client.decide(approval, approve: true, by: EngineHarness.bob)
            #expect(try await harness.result(run.id) == "wiped")
            #expect(effects.all == ["wipe"])
        }
    }

    @Test func `an owner that cannot be shown is refused when it is registered`() async throws {
        struct Odd: Workflow {
            static let name = "odd"
            static let version: WorkflowVersion = "1"
            static let owner = "pay\u{0}ments"
            func run(_ input: String, _ context: WorkflowContext) async throws -> String { input }
        }
        #expect(throws: PerdureError.self) { try WorkflowRegistry([RegisteredWorkflow(Odd())]) }
    }
}
