public import Perdure
package import PerdureHistory

/// A workflow with its types erased, as the engine keeps it.
public struct RegisteredWorkflow: Sendable {
    package let name: String
    package let version: WorkflowVersion
    /// Who answers for its runs; nil if nobody does.
    package let owner: String?
    /// Checks that the bytes can be read as the workflow's input.
    package let checkInput: @Sendable (Payload) throws -> Void
    /// Runs the workflow on the input that it was made with and returns its encoded output.
    package typealias Code = @Sendable (WorkflowContext, _ limit: Int) async throws -> Payload
    /// The workflow with recorded input, if that can be read as its input.
    package let code: @Sendable (Payload) throws -> Code

    /// Takes a workflow as a value, with what it depends on inside.
    public init<W: Workflow>(_ workflow: W) {
        name = W.name
        version = W.version
        owner = W.owner.isEmpty ? nil : Name.normalized(W.owner)
        checkInput = { _ = try Self.input($0, of: W.self) }
        code = { payload in
            let input = try Self.input(payload, of: W.self)
            return { context, limit in
                let output = try await workflow.run(input, context)
                return try Payload.encode(output, limit: limit, what: "the output of workflow '\(W.name)'")
            }
        }
    }

    /// Stands for one whose code is not here, and never runs.
    init(absent name: String, _ version: String) {
        self.name = name
        self.version = WorkflowVersion(version)
        owner = nil
        let problem = PerdureError(.workflowUnknown, "The code of workflow '\(name)' is not here.")
        checkInput = { _ in throw problem }
        code = { _ in throw problem }
    }

    private static func input<W: Workflow>(_ payload: Payload, of type: W.Type) throws -> W.Input {
        try payload.decode(W.Input.self, what: "the input of workflow '\(W.name)'")
    }
}

/// Collects the workflows that an engine hosts.
@resultBuilder
public enum WorkflowBuilder {
    public static func buildExpression<W: Workflow>(_ workflow: W) -> [RegisteredWorkflow] { [RegisteredWorkflow(workflow)] }
    public static func buildExpression(_ workflows: [RegisteredWorkflow]) -> [RegisteredWorkflow] { workflows }
    public static func buildBlock(_ workflows: [RegisteredWorkflow]...) -> [RegisteredWorkflow] { workflows.flatMap { $0 } }
    public static func buildOptional(_ workflows: [RegisteredWorkflow]?) -> [RegisteredWorkflow] { workflows ?? [] }
    public static func buildEither(first: [RegisteredWorkflow]) -> [RegisteredWorkflow] { first }
    public static func buildEither(second: [RegisteredWorkflow]) -> [RegisteredWorkflow] { second }
    public static func buildArray(_ workflows: [[RegisteredWorkflow]]) -> [RegisteredWorkflow] { workflows.flatMap { $0 } }
}

/// The workflows that a process hosts, by name and version.
package struct WorkflowRegistry: Sendable {
    private let workflows: [RegisteredWorkflow]

    /// - Throws: `PerdureError` if a name or version is invalid, or if one is registered twice.
    package init(_ workflows: [RegisteredWorkflow]) throws {
        for (index, workflow) in workflows.enumerated() {
            guard Name.isIdentifier(workflow.name) else {
                throw PerdureError(
                    .nameInvalid,
                    "'\(workflow.name)' cannot be a workflow's name: use 1 to 128 letters, digits, '-', '_' and '.'.")
            }
            guard workflow.version.isValid else {
                throw PerdureError(
                    .nameInvalid,
                    "'\(workflow.version)' cannot be a version of workflow '\(workflow.name)': use dot-separated letters and digits, such as \"1.2\"."
                )
            }
            if let owner = workflow.owner, !Name.isKey(owner) {
                throw PerdureError(
                    .nameInvalid,
                    "The owner of workflow '\(workflow.name)' cannot be shown: use 1 to 256 bytes of text without control characters."
                )
            }
            if workflows[..<index].contains(where: { $0.name == workflow.name && $0.version == workflow.version }) {
                throw PerdureError(
                    .workflowDuplicate,
                    "Version \(workflow.version) of workflow '\(workflow.name)' is registered twice: remove one, or give it a version of its own."
                )
            }
        }
        self.workflows = workflows.sorted { ($0.name, $0.version) < ($1.name, $1.version) }
    }

    package var all: [RegisteredWorkflow] { workflows }

    package func find(_ name: String, _ version: String) -> RegisteredWorkflow? {
        workflows.first { $0.name == name && $0.version.description == version }
    }

    /// The version that runs are started on: the given one, or the newest.
    package func require(_ name: String, version: WorkflowVersion? = nil) throws -> RegisteredWorkflow {
        let versions = workflows.filter { $0.name == name }
        guard let newest = versions.last else {
            let known = Set(workflows.map(\.name)).sorted().joined(separator: ", ")
            throw PerdureError(
                .workflowUnknown, "There is no workflow '\(name)' here. Known: \(known.isEmpty ? "none" : known).")
        }
        guard let version else { return newest }
        guard let exact = versions.first(where: { $0.version == version }) else {
            let known = versions.map(\.version.description).joined(separator: ", ")
            throw PerdureError(.workflowUnknown, "Workflow '\(name)' has no version \(version) here. Known: \(known).")
        }
        return exact
    }
}
