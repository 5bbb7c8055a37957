import Foundation
import Logging
import Perdure
import Synchronization

/// A run without an engine: it keeps the calls it gets and answers each with its body's first outcome.
final class RecordingHost: RunHost {
    struct Record: Sendable {
        var calls: [StepCall] = []
        var isolations: [ObjectIdentifier?] = []
        var scopes: [String] = []
        var unwound: [String] = []
        var children: [ChildCall] = []
    }

    private let state = Mutex(Record())
    let runID = RunID(milliseconds: 0, random: (1, 2))
    let logger = Logger(label: "test")
    let now = Date(timeIntervalSince1970: 0)

    var record: Record { state.withLock { $0 } }
    var context: WorkflowContext { WorkflowContext(host: self) }

    static func stepContext(attempt: Int = 1) -> StepContext {
        StepContext(
            runID: RunID(milliseconds: 0, random: (1, 2)), step: "step", idempotencyKey: "key", attempt: attempt,
            fencingToken: FencingToken(epoch: 1, sequence: Int64(attempt)), deadline: Date(timeIntervalSince1970: 60),
            logger: Logger(label: "test"))
    }

    func perform<Output: Codable & Sendable>(
        _ call: StepCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output {
        state.withLock {
            $0.calls.append(call)
            $0.isolations.append(isolation.map { ObjectIdentifier($0) })
            $0.scopes.append(RunTask.scope)
        }
        let output = try await call.body(Self.stepContext())
        guard let output = output as? Output else { throw StepFailure(code: StepFailure.undecodable, message: call.name) }
        return output
    }

    func identifyTimer(_ name: String, id: String?) throws -> String { name + (id.map { "[\($0)]" } ?? "") }
    func openScope(_ name: String, id: String?) throws -> String { name + (id.map { "[\($0)]" } ?? "") }
    func unwind(_ scope: String) async throws { state.withLock { $0.unwound.append(scope) } }

    /// Every timer but one of length zero is longer than the test.
    func sleep(_ subject: String, for duration: Duration, isolation: (any Actor)?) async throws {
        if duration > .zero { try await untilCancelled() }
    }

    private func untilCancelled() async throws {
        let (stream, _) = AsyncStream<Never>.makeStream()
        for await _ in stream {}
        throw CancellationError()
    }

    func sleep(_ subject: String, until time: Date, isolation: (any Actor)?) async throws {
        if time > now { try await untilCancelled() }
    }

    func report(_ status: any Codable & Sendable, id: String?, isolation: (any Actor)?) async throws {}
    func label(_ labels: [String: String], id: String?, isolation: (any Actor)?) async throws {}
    func isPatched(_ id: String) throws -> Bool { true }

    func signal<Payload: Codable & Sendable>(_ name: String, isolation: (any Actor)?, as: Payload.Type) async throws -> Payload {
        throw CancellationError()
    }
    func nextUpdate<Payload: Codable & Sendable>(
        _ name: String, isolation: (any Actor)?, as: Payload.Type
    ) async throws -> (id: String, payload: Result<Payload, any Error>) { throw CancellationError() }
    func reply(_ reply: UpdateReply, to id: String, of name: String, isolation: (any Actor)?) async throws {}
    func ask<Answer: Codable & Sendable>(_ call: QuestionCall, isolation: (any Actor)?, as: Answer.Type) async throws -> Answer {
        throw CancellationError()
    }
    /// A child gives its input back; one that nobody waits for its id.
    func child<Output: Codable & Sendable>(
        _ call: ChildCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output {
        state.withLock { $0.children.append(call) }
        if let output = (call.isDetached ? runID : call.input) as? Output { return output }
        throw StepFailure(code: StepFailure.undecodable, message: call.workflow)
    }
    func continueAsNew(_ input: any Codable & Sendable, of workflow: String, isolation: (any Actor)?) async throws -> Never {
        throw CancellationError()
    }
    func random(_ name: String, id: String?) throws -> UInt64 { 7 }
    func uuid(_ name: String, id: String?) throws -> UUID { UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7)) }
}
