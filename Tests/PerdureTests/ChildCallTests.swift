import Perdure
import Testing

@Suite struct ChildCallTests {
    struct Work: Workflow {
        static let name = "work"
        static let version: WorkflowVersion = "1.2"
        func run(_ input: String, _ context: WorkflowContext) async throws -> String { input }
    }

    @Test("a child is asked for by its workflow, with its input and what becomes of it")
    func call() async throws {
        let host = RecordingHost()
        let output = try await host.context.child(Work.self, id: "a", input: "x", policy: .abandon, irreversible: "gone")
        #expect(output == "x")
        let call = try #require(host.record.children.first)
        #expect(call.workflow == "work" && call.version == "1.2" && call.id == "a" && call.policy == .abandon)
        #expect(call.irreversible == "gone" && call.undo == nil && call.undoing == nil && !call.isDetached)
    }

    @Test("the undo of a child is called with its output")
    func undo() async throws {
        let host = RecordingHost(), undone = Recorder<String>()
        try await host.context.child(Work.self, input: "x") { output, step in undone.add("\(output) \(step.idempotencyKey)") }
        let call = try #require(host.record.children.first)
        #expect(call.policy == .cancel && call.undo?.isAtMostOnce == false)
        let undoing = try #require(call.undoing)
        try await undoing.undo?.body("y", RecordingHost.stepContext())
        #expect(undone.values == ["y key"])
        await #expect(throws: PerdureError.self) { _ = try await undoing.body(RecordingHost.stepContext()) }
    }

    @Test("a child on its own is abandoned and answers with its id")
    func detached() async throws {
        let host = RecordingHost()
        let run = try await host.context.startChild(Work.self, input: "x", irreversible: "gone")
        let call = try #require(host.record.children.first)
        #expect(run == host.runID && call.isDetached && call.policy == .abandon)
    }
}
