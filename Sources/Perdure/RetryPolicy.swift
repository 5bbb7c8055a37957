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
