package import Foundation

/// Why a wait of a workflow, or a whole run, ended without a value, in the form that history holds. Author code receives this same form
/// while a run is live and when it is replayed, so that a `catch` always decides alike.
public struct StepFailure: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// What kind of failure this is; see the static codes.
    public let code: String
    /// The name of the type of the error that the step threw, or an empty text.
    public let typeName: String
    /// What the error said of itself.
    public let message: String
    /// How many attempts were made.
    public let attempts: Int
    /// Whether it is certain that the effect did not happen.
    public let isDefinite: Bool
    /// The error itself as canonical JSON, if it was `Codable`.
    package let payload: Data?

    package init(
        code: String, typeName: String = "", message: String, attempts: Int = 0, isDefinite: Bool = true, payload: Data? = nil
    ) {
        self.code = code
        self.typeName = typeName
        self.message = message
        self.attempts = attempts
        self.isDefinite = isDefinite
        self.payload = payload
    }

    /// The error that the step threw, if it was `Codable` and can be read as this type; otherwise `nil`.
    public func decoded<E: Error & Decodable>(as type: E.Type) -> E? {
        guard let payload else { return nil }
        return try? JSONDecoder().decode(type, from: payload)
    }

    public var description: String {
        let type = typeName.isEmpty ? "" : " \(typeName)"
        let tries = attempts > 1 ? " after \(attempts) attempts" : ""
        return "\(code):\(type) \(message)\(tries)"
    }

    /// The step's body threw an error that says it must not be tried again, or the policy says to throw when exhausted.
    public static let stepFailed = "step_failed"
    /// The workflow itself threw an error that is not a `StepFailure`: the code that its run fails with.
    public static let workflowFailed = "workflow_failed"
    /// An approval was denied.
    public static let approvalDenied = "approval_denied"
    /// Nobody decided or answered in time.
    public static let expired = "expired"
    /// A limit set by `timeout` passed.
    public static let timedOut = "timed_out"
    /// The deadline that the run was started with passed, and its code ended with `CancellationError`.
    public static let deadlinePassed = "deadline_passed"
    /// A person decided that the step did not happen and that the run is to end.
    public static let aborted = "aborted"
    /// A person decided to undo the step.
    public static let undone = "undone"
    /// A child was cancelled by somebody else than its parent.
    public static let childCancelled = "child_cancelled"
    /// A child was terminated.
    public static let childTerminated = "child_terminated"
    /// The business key of the step is held with another input.
    public static let keyConflict = "key_conflict"
    /// A recorded value cannot be read as the type that the code asks for.
    public static let undecodable = "undecodable"
}
