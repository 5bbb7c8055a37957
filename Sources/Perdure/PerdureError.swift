/// What Perdure throws to the program that embeds it, and to author code that misuses a context.
///
/// Every code has a page in `docs/errors/` that says what it means, why it happens and what to do.
public struct PerdureError: Error, Sendable, CustomStringConvertible {
    /// What went wrong: the stable part that programs may compare.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The code as text, as pages and logs name it.
        public let rawValue: String
        /// A code with this text.
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }
    }

    /// What went wrong.
    public let code: Code
    /// One or two sentences: what happened and what to do about it.
    public let message: String
    /// The error that lies beneath, as text, if there was one.
    public let cause: String?
    /// Names and values that belong to the error (run, step, limit …), in the order they were given.
    public let metadata: [(name: String, value: String)]
    /// With `run_failed`: what the run failed with. `failure?.decoded(as:)` gives the error that was thrown, if its type is `Codable`.
    public let failure: StepFailure?
    /// With `quota_exceeded`, where starts come too fast: how long to wait before the next one.
    public let retryAfter: Duration?
    /// With `store_unavailable` and `engine_stopped`: whether what was asked for may have been done all the same, since its answer was
    /// lost. Asking once more with the same key, or the same id, does no harm then; without one it may do the same twice.
    public let mayHaveHappened: Bool

    package init(
        _ code: Code, _ message: String, cause: (any Error)? = nil, metadata: [(String, String)] = [],
        failure: StepFailure? = nil, retryAfter: Duration? = nil, mayHaveHappened: Bool = false
    ) {
        self.code = code
        self.message = message
        self.cause = cause.map { String(describing: $0) }
        self.metadata = metadata.map { (name: $0.0, value: $0.1) }
        self.failure = failure
        self.retryAfter = retryAfter
        self.mayHaveHappened = mayHaveHappened
    }

    public var description: String {
        let cause = cause.map { " (\($0))" } ?? ""
        return "\(code): \(message)\(cause)"
    }
}

extension PerdureError.Code {
    // Registration and start
    public static let workflowUnknown = Self(rawValue: "workflow_unknown")
    public static let stepDuplicate = Self(rawValue: "step_duplicate")
    public static let workflowDuplicate = Self(rawValue: "workflow_duplicate")
    public static let nameInvalid = Self(rawValue: "name_invalid")
    public static let inputUndecodable = Self(rawValue: "input_undecodable")
    public static let valueNotEncodable = Self(rawValue: "value_not_encodable")
    public static let payloadTooLarge = Self(rawValue: "payload_too_large")
    public static let labelInvalid = Self(rawValue: "label_invalid")
    public static let runConflict = Self(rawValue: "run_conflict")
    public static let messageConflict = Self(rawValue: "message_conflict")
    // Schedules
    public static let cronInvalid = Self(rawValue: "cron_invalid")
    public static let zoneUnknown = Self(rawValue: "zone_unknown")
    public static let scheduleInvalid = Self(rawValue: "schedule_invalid")
    public static let scheduleUnknown = Self(rawValue: "schedule_unknown")
    public static let scheduleConflict = Self(rawValue: "schedule_conflict")
    public static let scheduleBusy = Self(rawValue: "schedule_busy")
    public static let tokenUnknown = Self(rawValue: "token_unknown")
    public static let tokenConflict = Self(rawValue: "token_conflict")
    // Queues
    public static let queueUnknown = Self(rawValue: "queue_unknown")
    public static let queueNeedsUpgrade = Self(rawValue: "queue_needs_upgrade")
    // Namespaces
    public static let quotaExceeded = Self(rawValue: "quota_exceeded")
    // Runs
    public static let runUnknown = Self(rawValue: "run_unknown")
    public static let runClosed = Self(rawValue: "run_closed")
    public static let runFailed = Self(rawValue: "run_failed")
    public static let runCancelled = Self(rawValue: "run_cancelled")
    public static let runTerminated = Self(rawValue: "run_terminated")
    public static let runPaused = Self(rawValue: "run_paused")
    public static let runNotPaused = Self(rawValue: "run_not_paused")
    public static let runNotRestored = Self(rawValue: "run_not_restored")
    public static let runRestored = Self(rawValue: "run_restored")
    public static let runResetting = Self(rawValue: "run_resetting")
    public static let forkRefused = Self(rawValue: "fork_refused")
    public static let resetRefused = Self(rawValue: "reset_refused")
    public static let runQuarantined = Self(rawValue: "run_quarantined")
    public static let runExpired = Self(rawValue: "run_expired")
    public static let historyMismatch = Self(rawValue: "history_mismatch")
    public static let historyFileInvalid = Self(rawValue: "history_file_invalid")
    public static let historyFileTooNew = Self(rawValue: "history_file_too_new")
    // Author code
    public static let nameTaken = Self(rawValue: "name_taken")
    public static let contextMisused = Self(rawValue: "context_misused")
    public static let foreignWait = Self(rawValue: "foreign_wait")
    public static let keyConflict = Self(rawValue: "key_conflict")
    public static let ownerMissing = Self(rawValue: "owner_missing")
    // People
    public static let approvalUnknown = Self(rawValue: "approval_unknown")
    public static let approvalClosed = Self(rawValue: "approval_closed")
    public static let approvalMismatch = Self(rawValue: "approval_mismatch")
    public static let approvalNotPermitted = Self(rawValue: "approval_not_permitted")
    public static let questionUnknown = Self(rawValue: "question_unknown")
    public static let questionClosed = Self(rawValue: "question_closed")
    public static let answerInvalid = Self(rawValue: "answer_invalid")
    public static let updateRejected = Self(rawValue: "update_rejected")
    public static let stepUnknown = Self(rawValue: "step_unknown")
    public static let stepNotStuck = Self(rawValue: "step_not_stuck")
    // Store
    public static let storeNotOurs = Self(rawValue: "store_not_ours")
    public static let storeTooNew = Self(rawValue: "store_too_new")
    public static let storeReadOnly = Self(rawValue: "store_read_only")
    public static let storeLocked = Self(rawValue: "store_locked")
    public static let storeCorrupt = Self(rawValue: "store_corrupt")
    public static let storeUnavailable = Self(rawValue: "store_unavailable")
    public static let storeMissing = Self(rawValue: "store_missing")
    public static let storeRefused = Self(rawValue: "store_refused")
    /// Commits of the store are lost, and nothing is begun until its history is recovered.
    public static let storeRestored = Self(rawValue: "store_restored")
    // Engine
    public static let configurationInvalid = Self(rawValue: "configuration_invalid")
    public static let outputUnwritable = Self(rawValue: "output_unwritable")
    public static let engineStopped = Self(rawValue: "engine_stopped")
    public static let usage = Self(rawValue: "usage")
}
