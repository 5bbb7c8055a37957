/// The names of what stands in spans. `docs/telemetry.md` says what they mean.
enum TraceAttribute {
    static let run = "perdure.run"
    static let namespace = "perdure.namespace"
    static let workflow = "perdure.workflow"
    static let version = "perdure.version"
    static let queue = "perdure.queue"
    static let schedule = "perdure.schedule"
    static let starter = "perdure.started_by"
    static let subject = "perdure.subject"
    static let effect = "perdure.effect"
    static let attempt = "perdure.attempt"
    static let attempts = "perdure.attempts"
    static let outcome = "perdure.outcome"
    static let isStartEstimated = "perdure.start_estimated"
    static let due = "perdure.due"
    static let child = "perdure.child"
    static let adoptedFrom = "perdure.adopted_from"
    static let seq = "perdure.seq"
    static let link = "perdure.link"
    /// OpenTelemetry's own name for the type of an error.
    static let errorType = "error.type"
    static let errorCode = "perdure.error_code"
}
