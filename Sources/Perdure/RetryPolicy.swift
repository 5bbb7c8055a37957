import Foundation

/// When a failed attempt of a step is tried again.
///
/// The delay before attempt n + 1 is `initialDelay × multiplier^(n − 1)`, at most `maximumDelay`, made shorter or longer by up to
/// `jitter` of itself, and never shorter than what the error asked for (`ClassifiedError.retryAfter`).
public struct RetryPolicy: Sendable, Hashable {
    /// What follows when `maximumAttempts` are used up.
    public enum Exhaustion: Sendable, Hashable {
        /// The step waits as a dead letter until a person retries, resolves or aborts it.
        case park
        /// The author gets the `StepFailure`, provided that every error was definite and no attempt was cut off; otherwise the step is in
        /// doubt first.
        case thenThrow
    }

    /// Before the second attempt. At least 1 ms. Default: 1 s.
    public var initialDelay: Duration { didSet { initialDelay = Self.delay(initialDelay) } }
    /// At least 1. Default: 2.
    public var multiplier: Double { didSet { multiplier = Self.multiplier(multiplier) } }
    /// At least 1 ms. Default: 5 min.
    public var maximumDelay: Duration { didSet { maximumDelay = Self.delay(maximumDelay) } }
    /// 0 to 1. Default: 0.2.
    public var jitter: Double { didSet { jitter = Self.jitter(jitter) } }
    /// At least 1; `nil` means without limit. Default: `nil`.
    public var maximumAttempts: Int? { didSet { maximumAttempts = Self.attempts(maximumAttempts) } }
    /// Default: `.park`.
    public var exhaustion: Exhaustion

    /// Values outside a property's range are moved to its nearest end, here and when they are set later.
    public init(
        initialDelay: Duration = .seconds(1), multiplier: Double = 2, maximumDelay: Duration = .minutes(5), jitter: Double = 0.2,
        maximumAttempts: Int? = nil, exhaustion: Exhaustion = .park
    ) {
        self.initialDelay = Self.delay(initialDelay)
        self.multiplier = Self.multiplier(multiplier)
        self.maximumDelay = Self.delay(maximumDelay)
        self.jitter = Self.jitter(jitter)
        self.maximumAttempts = Self.attempts(maximumAttempts)
        self.exhaustion = exhaustion
    }

    private static func delay(_ given: Duration) -> Duration { max(given, .milliseconds(1)) }
    private static func multiplier(_ given: Double) -> Double { given.isFinite ? max(given, 1) : 2 }
    private static func jitter(_ given: Double) -> Double { given.isFinite ? min(max(given, 0), 1) : 0.2 }
    private static func attempts(_ given: Int?) -> Int? { given.map { max($0, 1) } }

    /// Without limit, from 1 s to 5 min, so that an outage of hours only makes a run late.
    public static let `default` = RetryPolicy()
    /// One attempt; then the step waits for a person, as a dead letter.
    public static let never = RetryPolicy(maximumAttempts: 1)
    /// At most this many attempts; then the step waits for a person, as a dead letter.
    public static func limited(to attempts: Int) -> RetryPolicy { RetryPolicy(maximumAttempts: attempts) }

    /// The same policy, but an exhausted step throws to the author where every error was definite and no attempt was cut off.
    public var thenThrow: RetryPolicy {
        var policy = self
        policy.exhaustion = .thenThrow
        return policy
    }

    /// The delay after the given attempt (1 is the first). `random` is in 0..<1.
    package func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        let growth = pow(multiplier, Double(max(attempt, 1) - 1))
        let delay = min(Double(initialDelay.microseconds) * growth, Double(maximumDelay.microseconds))
        let jittered = (delay * (1 + jitter * (2 * random - 1))).rounded(.down)
        return .microseconds(max(Int64(exactly: jittered) ?? .max, 1))
    }
}

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
