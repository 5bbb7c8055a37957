/// Everything about a step that is not what it does: how it is retried, how long one attempt may take, what is recorded first.
public struct StepPolicy: Sendable, Hashable {
    /// Whether `step.intended` is committed before the body runs.
    public enum Intent: Sendable, Hashable {
        /// Where the effect, an approval or a business key needs it.
        case automatic
        /// Always: the history then shows the step even if the process is killed in its middle and the next build no longer has it.
        case always
    }

    /// When a failed attempt is tried again. Default: `RetryPolicy.default`.
    public var retry: RetryPolicy
    /// How long one attempt may take before its task is cancelled. The attempt counts as ended when its closure has returned.
    /// After a crash, "it did not happen" is believed only when this time and `grace` have passed. At least 1 ms. Default: 5 min.
    public var attemptTimeout: Duration { didSet { attemptTimeout = Self.timeout(attemptTimeout) } }
    /// How much longer than the attempt's deadline the other side may still act. At least zero. Default: 10 s.
    public var grace: Duration { didSet { grace = max(grace, .zero) } }
    /// Default: `.automatic`.
    public var intent: Intent
    /// The other side that the step turns to, by a name that all its steps share. What the engine allows for it
    /// (`EngineConfiguration.resources`) holds for all of them together: how many at once, how many in a time, and a pause when it keeps
    /// failing, which uses up no attempts. Default: `nil`, no limits.
    public var resource: String?
    /// How long an attempt may go without a heartbeat (`StepContext.heartbeat`) before its task is cancelled, as when `attemptTimeout` has
    /// passed: it tells nothing about the effect. Counts from the start of the attempt. At least 1 ms. Default: `nil`, for ever.
    public var heartbeatTimeout: Duration? { didSet { heartbeatTimeout = heartbeatTimeout.map(Self.timeout) } }

    /// Values outside a property's range are moved to its nearest end, here and when they are set later.
    public init(
        retry: RetryPolicy = .default, attemptTimeout: Duration = .minutes(5), grace: Duration = .seconds(10),
        intent: Intent = .automatic, resource: String? = nil, heartbeatTimeout: Duration? = nil
    ) {
        self.retry = retry
        self.attemptTimeout = Self.timeout(attemptTimeout)
        self.grace = max(grace, .zero)
        self.intent = intent
        self.resource = resource
        self.heartbeatTimeout = heartbeatTimeout.map(Self.timeout)
    }

    private static func timeout(_ given: Duration) -> Duration { max(given, .milliseconds(1)) }

    /// Retried without limit, 5 min for an attempt, an intent where it is needed.
    public static let `default` = StepPolicy()
    /// The default policy with other retries.
    public static func retry(_ policy: RetryPolicy) -> StepPolicy { StepPolicy(retry: policy) }
}
