import Perdure
import PerdureEngine
import PerdureHistory
import PerdureStore
import Testing

/// A workflow that others have as their child, whose code a test writes down where it needs it.
struct Work: Workflow {
    static let name = "work"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

/// Another one, for children of children.
struct Detail: Workflow {
    static let name = "detail"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

extension EngineHarness {
    /// The child under this subject, once it exists.
    func child(_ subject: String, of run: RunID) async throws -> RunID {
        try await until(run, has: "child.started \(subject)")
        let children = RunView(try await history(run)).children
        return try #require(children.last { $0.subject == subject }).run
    }

    /// What is wrong with the history of a run, looked at by itself.
    func problems(_ run: RunID) async throws -> [HistoryVerifier.Problem] {
        HistoryVerifier.verify(try await record(run), try await history(run)).problems
    }

    /// Whether a run, its children and theirs prove what they are meant to, and say the same of each other.
    func expectSound(_ run: RunID, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let lineage = try await observer().lineage(of: run)
        expectSound(lineage, sourceLocation)
    }

    private func expectSound(_ lineage: Lineage, _ sourceLocation: SourceLocation) {
        let children = lineage.children.map { (record: $0.record, events: $0.events) }
        let report = HistoryVerifier.verify(lineage.record, lineage.events, children: children)
        #expect(report.problems == [], sourceLocation: sourceLocation)
        for child in lineage.children { expectSound(child, sourceLocation) }
    }
}
