package import Foundation
package import Logging

/// What a workflow context stands on: one live run, implemented by the engine. Every call has to come from a task of the run.
package protocol RunHost: AnyObject, Sendable {
    var runID: RunID { get }
    var logger: Logger { get }
    /// The time of the last event fed to the run.
    var now: Date { get }

    /// Takes the identity of a timer for the calling task, so that a child task can wait for it under that name.
    func identifyTimer(_ name: String, id: String?) throws -> String

    func perform<Output: Codable & Sendable>(
        _ call: StepCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output
    func sleep(_ subject: String, for duration: Duration, isolation: (any Actor)?) async throws
    func sleep(_ subject: String, until time: Date, isolation: (any Actor)?) async throws
    func signal<Payload: Codable & Sendable>(_ name: String, isolation: (any Actor)?, as: Payload.Type) async throws -> Payload
    func nextUpdate<Payload: Codable & Sendable>(
        _ name: String, isolation: (any Actor)?, as: Payload.Type
    ) async throws -> (id: String, payload: Result<Payload, any Error>)
    func reply(_ reply: UpdateReply, to id: String, of name: String, isolation: (any Actor)?) async throws
    func ask<Answer: Codable & Sendable>(_ call: QuestionCall, isolation: (any Actor)?, as: Answer.Type) async throws -> Answer

    func report(_ status: any Codable & Sendable, id: String?, isolation: (any Actor)?) async throws
    func label(_ labels: [String: String], id: String?, isolation: (any Actor)?) async throws
    func isPatched(_ id: String) throws -> Bool
    /// Starts a child and waits for its output, or for its id where nobody waits for it.
    func child<Output: Codable & Sendable>(
        _ call: ChildCall, isolation: (any Actor)?, returning: Output.Type
    ) async throws -> Output

    /// Has the run closed as continued by another one with this input. Always throws.
    func continueAsNew(_ input: any Codable & Sendable, of workflow: String, isolation: (any Actor)?) async throws -> Never

    func random(_ name: String, id: String?) throws -> UInt64
    func uuid(_ name: String, id: String?) throws -> UUID

    /// Opens a scope within the current one and returns its path.
    func openScope(_ name: String, id: String?) throws -> String
    /// Undoes the completed steps of a scope in reverse order, once every operation of it is settled.
    func unwind(_ scope: String) async throws
}

/// What structured child tasks of a run inherit.
package enum RunTask {
    /// The path of the innermost scope, empty at the top.
    @TaskLocal package static var scope = ""
    /// Whether the task is inside `uncancelled`.
    @TaskLocal package static var ignoresCancellation = false
}
