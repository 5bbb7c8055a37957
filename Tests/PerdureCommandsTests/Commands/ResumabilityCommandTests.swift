import Foundation
import Perdure
import PerdureCommands
import PerdureEngine
import PerdureHistory
import PerdureStore
import PerdureTesting
import Testing

/// `resumability`: its exit codes, and where it has its steps from.
@Suite struct ResumabilityCommandTests {
    private struct Pay: Workflow {
        static let name = "pay"
        static let version: WorkflowVersion = "1"
        static let owner = "payments"
        func run(_ amount: Int, _ context: WorkflowContext) async throws -> String {
            try await context.act("charge", input: amount, .atMostOnce(inDoubt: .askPerson), irreversible: "paid") { _, _ in }
            return "paid"
        }
    }

    /// The same, and nobody answers for it.
    private struct Unowned: Workflow {
        static let name = Pay.name
        static let version = Pay.version
        func run(_ amount: Int, _ context: WorkflowContext) async throws -> String { try await Pay().run(amount, context) }
    }

    private struct Look: Workflow {
        static let name = "look"
        static let version: WorkflowVersion = "1"
        static let owner = "payments"
        func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
            try await context.read("look", input: input) { value, _ in value }
        }
    }

    /// Does something each time its code runs.
    private struct Careless: Workflow {
        static let name = "careless"
        static let version: WorkflowVersion = "1"
        static let owner = "payments"
        let ledger: EffectLedger
        func run(_ input: Int, _ context: WorkflowContext) async throws -> Int {
            try await context.act("count", input: input, .idempotent(retention: .forever), irreversible: "counted") {
                [ledger] _, _ in
                ledger.perform("counted")
            }
            return input
        }
    }

    private func matrix<W: Workflow>(_ workflow: @escaping @Sendable (EffectLedger) -> W) -> CrashMatrix where W.Input == Int {
        CrashMatrix(workflow, input: 1, world: EffectLedger.init, interruptions: [.crashAfterCommit, .crashAfterEffect])
    }

    private func type(
        _ arguments: String..., workflows: Workflows, trying matrices: [CrashMatrix] = [], at desk: Desk? = nil
    ) async throws -> Desk.Reply {
        try await (desk ?? Desk()).type(["resumability"] + arguments) {
            $0.workflows = { workflows }
            $0.resumability = { matrices }
        }
    }

    // Promise: 44
    @Test func aWorkflowThatSurvivesAndNeedsNobodyIsClean() async throws {
        let reply = try await type("--strict", workflows: [RegisteredWorkflow(Look())], trying: [matrix { _ in Look() }])
        #expect(reply.status == .success, "\(reply.output)\(reply.errors)")
        #expect(reply.output.contains("✓ look 1 survives") && reply.output.contains("unaided:\nNothing."))
    }

    // Promise: 44
    @Test func whatOnlyAPersonCanMoveIsListedAndFailsIfThatIsAskedFor() async throws {
        let workflows = [RegisteredWorkflow(Pay())], tried = [matrix { _ in Pay() }]
        let reply = try await type(workflows: workflows, trying: tried)
        #expect(reply.status == .success)
        #expect(reply.output.contains("no_probe: 'charge'") && reply.output.contains("irreversible_without_approval: 'charge'"))
        #expect(try await type("--strict", workflows: workflows, trying: tried).status == .failed)
        let json = try await type("--json", workflows: workflows, trying: tried).json
        let entry = json?["inventory"]?["entries"]?.arrayValue?.first
        #expect(entry?["owner"] == "payments" && entry?["is_tried"] == true && entry?["findings"]?.arrayValue?.count == 2)
        #expect(json?["reports"]?.arrayValue?.first?["workflow"] == "pay")
        let page = try await type("--markdown", workflows: workflows, trying: tried).output
        #expect(page.contains("# pay 1") && page.contains("- `no_probe` 'charge'"))
    }

    @Test func aWorkflowThatDoesNotSurviveFails() async throws {
        let reply = try await type(
            workflows: [RegisteredWorkflow(Careless(ledger: EffectLedger()))], trying: [matrix { Careless(ledger: $0) }])
        #expect(reply.status == .failed && reply.output.contains("✗ careless 1 does not survive"))
    }

    // Promise: 44
    @Test func runsThatWouldBeBlockedForWantOfAnOwnerFail() async throws {
        let reply = try await type(workflows: [RegisteredWorkflow(Unowned())], trying: [matrix { _ in Unowned() }])
        #expect(reply.status == .failed && reply.output.contains("nobody answers for workflow 'pay'"))
        let desk = try Desk(), host = try await Engine(store: desk.store) { Pay() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await host.run() }
            _ = try await host.start(Pay.self, input: 1, by: Principal(.human, "ada")).result()
            group.cancelAll()
        }
        let workflows = [RegisteredWorkflow(Unowned())]
        let recorded = try await type("--inventory", "--store", desk.path, workflows: workflows, at: desk)
        #expect(recorded.status == .failed && recorded.output.contains("no_owner: It names no owner, but has steps"))
        // Nobody knows of its steps without its runs.
        #expect(try await type("--inventory", workflows: workflows, at: desk).status == .success)
        let file = desk.folder.appending(path: "histories.jsonl").path
        #expect(await desk.type("export-history", "--out", file).status == .success)
        #expect(try await type("--inventory", "--histories", file, workflows: workflows, at: desk).status == .failed)
        // `check` says it of a run that has come to such a step.
        let other = try Desk()
        let engine = try await Engine(store: other.store) { Unowned() }
        try await withThrowingTaskGroup { group in
            group.addTask { try await engine.run() }
            let run = try await engine.start(Unowned.self, input: 1, by: Principal(.human, "ada"))
            try await other.until(run.id.description) { record, _ in record.state == .blocked }
            group.cancelAll()
        }
        let checked = await other.type("check") { $0.workflows = { workflows } }
        #expect(checked.status == .failed && checked.output.contains("nobody answers for workflow 'pay'"), "\(checked.output)")
        #expect(await other.type("check") { $0.workflows = { [RegisteredWorkflow(Pay())] } }.status == .success)
    }

    @Test func nothingToTryAndUnknownNamesAreSaid() async throws {
        let workflows = [RegisteredWorkflow(Look())]
        #expect(try await type(workflows: workflows).status == .usage)
        #expect(try await type("pay", workflows: workflows, trying: [matrix { _ in Look() }]).status == .notFound)
        #expect(try await type("pay", "--inventory", workflows: workflows).status == .notFound)
        #expect(try await type("look", "--inventory", workflows: workflows).output.contains("not_tried"))
    }
}
