import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureStore
import PerdureTesting
import Testing

/// Stories about agents, as far as they need no model and no permissions.
@Suite(.timeLimit(.minutes(10))) struct AgentStoryTests {
    /// An agent plans a change, files it, and carries it out when somebody has approved exactly that.
    private struct ChangeFirewall: Workflow {
        static let name = "change-firewall"
        static let version: WorkflowVersion = "1"
        static let owner = "network"
        let side: EffectLedger

        func run(_ rule: String, _ context: WorkflowContext) async throws -> String {
            let plan = try await context.step("file", input: rule, .idempotent(retention: .forever)) { [side] rule, step in
                side.perform("request for \(rule)", key: step.idempotencyKey, answer: "CR-1: \(rule)")
            } undo: { [side] _, step in
                side.undo("request for \(rule)", key: step.idempotencyKey)
            }
            try await context.act(
                "apply", input: plan,
                .atMostOnce(inDoubt: .probe { [side] plan, _ in side.stands("applied \(plan)") ? .happened(()) : .didNotHappen }),
                approval: .required(by: .role("network"), within: .days(5)), irreversible: "connections are cut"
            ) { [side] plan, _ in
                side.perform("applied \(plan)")
            }
            return plan
        }
    }

    // Promise: 22, 23
    @Test func `a change request of an agent that dies before the decision is filed once and goes on at the approval`()
        async throws
    {
        let side = EffectLedger()
        let tester = try await WorkflowTester { ChangeFirewall(side: side) }
        let run = try await tester.start(
            ChangeFirewall.self, input: "deny 22", script: [.approve("apply", after: .days(2))])
        for _ in 1...3 {
            try await tester.sleep(for: .hours(6))
            try await tester.crash()
        }
        #expect(side.effects == ["request for deny 22": 1])
        try await tester.sleep(for: .days(2))
        let history = try await tester.history(of: run)
        #expect(history.count { $0 == "approval.requested apply" } == 1 && history.last == "run.completed")
        #expect(history.count { $0.hasPrefix("step.succeeded file") } == 1)
        #expect(side.effects == ["request for deny 22": 1, "applied CR-1: deny 22": 1])
        await tester.close()
    }

    // Promise: 22, 44
    @Test func `a change request of an agent survives every interruption`() async throws {
        let report = try await expectResumable(
            { ChangeFirewall(side: $0) }, input: "deny 22", world: EffectLedger.init, script: [.approve("apply", after: .days(2))]
        )
        #expect(report.warnings == [])
    }

    /// One host, looked into by an agent of its own.
    private struct Inspect: Workflow {
        static let name = "inspect"
        static let version: WorkflowVersion = "1"
        static let owner = "network"
        let side: EffectLedger

        func run(_ host: String, _ context: WorkflowContext) async throws -> String {
            try await context.sleep(for: .hours(1))
            return try await context.step("ticket", input: host, .idempotent(retention: .forever)) { [side] host, step in
                side.perform("ticket for \(host)", key: step.idempotencyKey, answer: "T-\(host)")
            } undo: { [side] _, step in
                side.undo("ticket for \(host)", key: step.idempotencyKey)
            }
        }
    }

    /// Has every host looked into at once.
    private struct InspectAll: Workflow {
        static let name = "inspect-all"
        static let version: WorkflowVersion = "1"
        static let owner = "network"

        func run(_ hosts: [String], _ context: WorkflowContext) async throws -> [String] {
            try await withThrowingTaskGroup(of: String.self) { group in
                for host in hosts {
                    group.addTask {
                        try await context.child(Inspect.self, id: host, input: host, irreversible: "the ticket stays")
                    }
                }
                return try await group.reduce(into: [String]()) { $0.append($1) }.sorted()
            }
        }
    }

    // Promise: 10
    @Test func `child agents whose process dies come back as the same runs, and their lineage is shown`() async throws {
        let side = EffectLedger()
        let tester = try await WorkflowTester {
            InspectAll()
            Inspect(side: side)
        }
        let run = try await tester.start(InspectAll.self, input: ["a", "b", "c"])
        func children() async throws -> [RunID] {
            try await tester.perform { try await $0.client.lineage(of: run).children.map(\.record.id) }
        }
        try await tester.sleep(for: .minutes(10))
        let before = try await children()
        try await tester.crash()
        try await tester.sleep(for: .minutes(10))
        try await tester.crash()
        try await tester.sleep(for: .hours(2))
        #expect(try await tester.history(of: run).last == "run.completed")
        #expect(try await children() == before && before.count == 3)
        #expect(side.effects == ["ticket for a": 1, "ticket for b": 1, "ticket for c": 1])
        let parents = try await tester.perform { engine in
            try await engine.client.lineage(of: run).children.map { RunView($0.events).parent?.run }
        }
        #expect(parents == [run, run, run])
        await tester.close()
    }

    // Promise: 10, 44
    @Test func `a parent with child agents survives every interruption`() async throws {
        try await expectResumable(
            { (_: EffectLedger) in InspectAll() }, input: ["a", "b"], world: EffectLedger.init,
            others: { [RegisteredWorkflow(Inspect(side: $0))] })
    }
}
