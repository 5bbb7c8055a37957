import Foundation
import Perdure
import PerdureEngine
import PerdureTesting
import Testing

/// What an inventory finds, and what it does not.
@Suite(.timeLimit(.minutes(5))) struct WorkflowInventoryTests {
    enum Part: String, Codable, Sendable, CaseIterable { case clean, noProbe, noProbeOfUndo, irreversible, plain }

    private struct Fault: ClassifiedError {
        var isDefinite: Bool { true }
        var isRetryable: Bool { false }
    }

    /// One kind of step for each input.
    private struct Deed: Workflow {
        static let name = "deed"
        static let version: WorkflowVersion = "1"
        static let owner = "shop"

        func run(_ part: Part, _ context: WorkflowContext) async throws -> String {
            switch part {
            case .clean:
                try await context.act(
                    "wipe", input: part, .atMostOnce(inDoubt: .probe { _, _ in .happened(()) }),
                    approval: .required(by: .anyone, within: .days(1)), irreversible: "it is empty"
                ) { _, _ in }
            case .noProbe:
                try await context.act("send", id: "1", input: part, .atMostOnce(inDoubt: .askPerson)) { _, _ in
                } undo: { _, _ in
                }
                try await context.act(
                    "send", id: "2", input: part, .atMostOnce(inDoubt: .probe { _, _ in .unknown })
                ) { _, _ in
                } undo: { _, _ in
                }
            case .noProbeOfUndo:
                try await context.scope("team") {
                    try await context.act(
                        "hire", input: part, .idempotent(retention: .forever), undoing: .atMostOnce(inDoubt: .askPerson)
                    ) { _, _ in
                    } undo: { _, _ in
                    }
                    throw Fault()
                }
            case .irreversible:
                try await context.act("tell", input: part, .idempotent(retention: .forever), irreversible: "it is known") {
                    _, _ in
                }
            case .plain:
                try await context.act("book", input: part, .idempotent(retention: .forever)) { _, _ in
                } undo: { _, _ in
                }
                _ = try await context.read("look", input: part) { part, _ in part }
            }
            return "done"
        }
    }

    /// The same, and nobody answers for it.
    private struct Orphan: Workflow {
        static let name = Deed.name
        static let version = Deed.version
        func run(_ part: Part, _ context: WorkflowContext) async throws -> String { try await Deed().run(part, context) }
    }

    private func report(_ part: Part) async throws -> ResumabilityReport {
        try await CrashMatrix(
            { (_: EffectLedger) in Deed() }, input: part, world: EffectLedger.init, script: [.approve("wipe")],
            interruptions: [.crashBeforeCommit]
        ).run()
    }

    private func findings(_ inventory: WorkflowInventory) -> [String] {
        inventory.entries.flatMap(\.findings).map {
            "\($0.kind.rawValue)\($0.step.map { " \($0)" } ?? "")\($0.stopsRuns ? "!" : "")"
        }
    }

    // Promise: 44
    @Test(
        arguments: [
            (Part.clean, []), (.plain, []), (.noProbe, ["no_probe send"]), (.noProbeOfUndo, ["no_probe_of_undo team/hire"]),
            (.irreversible, ["irreversible_without_approval tell"]),
        ] as [(Part, [String])])
    func `what cannot get through unaided is named, and nothing else`(part: Part, found: [String]) async throws {
        let inventory = WorkflowInventory(reports: [try await report(part)]) { Deed() }
        #expect(findings(inventory) == found)
        #expect(inventory.isClean == found.isEmpty && !inventory.stopsRuns)
        #expect(inventory.entries.first?.owner == "shop")
    }

    // Promise: 44
    @Test(arguments: [(Part.clean, true), (.noProbe, true), (.noProbeOfUndo, true), (.irreversible, false), (.plain, false)])
    func `a workflow that names nobody stops its runs only if a person may be asked`(part: Part, stops: Bool) async throws {
        let inventory = WorkflowInventory(reports: [try await report(part)]) { Orphan() }
        #expect(findings(inventory).first == (stops ? "no_owner!" : "no_owner"))
        #expect(inventory.stopsRuns == stops)
    }

    @Test func `a run that was blocked for want of an owner shows the step that nobody has reached`() async throws {
        let tester = try await WorkflowTester { Orphan() }
        let run = try await tester.start(Orphan.self, input: .noProbe)
        try await tester.sleep(for: .minutes(1))
        #expect(try await tester.history(of: run).last == "run.blocked send[1]")
        let (sightings, problems) = try await tester.perform { try await $0.client.workflowSightings() }
        let inventory = WorkflowInventory(reports: [], recorded: sightings) { Orphan() }
        #expect(problems == [] && findings(inventory) == ["no_owner!", "not_tried"])
        #expect(inventory.entries.first?.findings.first?.message.contains("'send'") == true)
        await tester.close()
    }

    // Promise: 44
    @Test func `the matrix does not try a workflow whose runs are blocked for want of an owner, and says why`() async throws {
        let failure = await #expect(throws: TestFailure.self) {
            try await CrashMatrix({ (_: EffectLedger) in Orphan() }, input: .noProbe, world: EffectLedger.init).run()
        }
        #expect(failure?.description.contains("nobody answers for workflow 'deed'") == true, "\(failure?.description ?? "")")
    }

    @Test func `what nothing tries and nobody has run is named`() throws {
        let inventory = WorkflowInventory(reports: []) { Deed() }
        #expect(findings(inventory) == ["not_tried"])
    }

    @Test func `a step of a history that does not say whether there is a probe is not accused`() throws {
        let text =
            #"{"workflow": "gone", "version": "1", "runs": 1, "refused": [], "steps": ["#
            + #"{"name": "send", "effect": "at_most_once", "hasApproval": false}]}"#
        let sighting = try JSONDecoder().decode(WorkflowInventory.Sighting.self, from: Data(text.utf8))
        let inventory = WorkflowInventory([], recorded: [sighting])
        #expect(findings(inventory) == [] && inventory.entries.map(\.isRegistered) == [false])
    }

    @Test func `the report reads the same as JSON and as Markdown`() async throws {
        let inventory = WorkflowInventory(reports: [try await report(.irreversible)]) { Orphan() }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        #expect(try decoder.decode(WorkflowInventory.self, from: inventory.json) == inventory)
        for text in ["| deed | 1 | **none** | yes |", "`no_owner`", "`irreversible_without_approval`"] {
            #expect(inventory.markdown.contains(text), "\(inventory.markdown)")
        }
    }
}
