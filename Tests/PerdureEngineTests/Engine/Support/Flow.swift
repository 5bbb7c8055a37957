import Foundation
import Perdure
import PerdureEngine

/// A workflow whose code a test writes down where it needs it.
struct Flow: Workflow {
    static let name = "flow"
    static let version: WorkflowVersion = "1"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

/// The next version of the same workflow.
struct NewerFlow: Workflow {
    static let name = "flow"
    static let version: WorkflowVersion = "2"
    static let owner = "tests"
    let body: @Sendable (String, WorkflowContext) async throws -> String

    init(_ body: @escaping @Sendable (String, WorkflowContext) async throws -> String) { self.body = body }
    func run(_ input: String, _ context: WorkflowContext) async throws -> String { try await body(input, context) }
}

enum Poke: Signal {
    typealias Payload = String
    static let name = "poke"
}

/// A refusal that is retried only where nothing happened for certain.
struct Hiccup: ClassifiedError, Codable, Hashable {
    var isDefinite = false
    var isRetryable = true
    var wait: Int?
    var retryAfter: Duration? { wait.map { .seconds($0) } }
}

extension StepPolicy {
    /// Exact delays: 1 s, 2 s, 4 s …
    static func plain(attempts: Int? = nil, _ exhaustion: RetryPolicy.Exhaustion = .park, intent: Intent = .automatic)
        -> StepPolicy
    {
        StepPolicy(
            retry: RetryPolicy(jitter: 0, maximumAttempts: attempts, exhaustion: exhaustion), attemptTimeout: .seconds(60),
            grace: .seconds(10), intent: intent)
    }
}

extension WorkflowContext {
    /// Steps of these names, one after the other, with effects that can be undone.
    func steps(_ names: String..., input: String, _ effects: Effects) async throws {
        for name in names {
            try await step(name, input: input, .idempotent(retention: .forever), policy: .plain()) { _, step -> String in
                effects.add(name)
                return step.idempotencyKey
            } undo: { _, _ in
                effects.add("undo \(name)")
            }
        }
    }
}

extension EngineHarness {
    /// Starts a run of `Flow`.
    func start(_ input: String = "x", key: String? = nil) async throws -> Run<String> {
        try await engine.start(Flow.self, input: input, key: key, by: Self.ada)
    }

    /// Waits for a run's result.
    func result(_ run: RunID) async throws -> String {
        try JSONDecoder().decode(String.self, from: try await engine.result(of: run))
    }
}
