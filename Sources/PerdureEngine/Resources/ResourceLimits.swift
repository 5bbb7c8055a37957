public import Perdure

/// What an engine allows for one other side (`StepPolicy.resource`): how many attempts at once, how many in a time, and when it gives the
/// other side a rest.
///
/// Limits hold for one engine. They start anew with its process.
public struct ResourceLimits: Sendable, Hashable {
    /// The most attempts under way at once; at least 1. `nil` means without limit. Default: `nil`.
    public var concurrency: Int?
    /// The most attempts begun in a time. `nil` means without limit. Default: `nil`.
    public var rate: Rate?
    /// When the other side is left alone. `nil` means never. Default: `Circuit()`.
    public var circuit: Circuit?

    /// Values outside a property's range are moved to its nearest end.
    public init(concurrency: Int? = nil, rate: Rate? = nil, circuit: Circuit? = Circuit()) {
        self.concurrency = concurrency.map { max($0, 1) }
        self.rate = rate
        self.circuit = circuit
    }

    /// So many attempts in so much time, evenly spread, with short bursts.
    public struct Rate: Sendable, Hashable {
        /// At least 1.
        public let count: Int
        /// At least 1 ms.
        public let period: Duration
        /// How many may begin at once after a quiet time; at least 1.
        public let burst: Int

        /// `count` in `period`. Values outside a range are moved to its nearest end.
        public init(_ count: Int, per period: Duration, burst: Int = 1) {
            self.count = max(count, 1)
            self.period = max(period, .milliseconds(1))
            self.burst = max(burst, 1)
        }
    }

    /// When a resource that keeps failing is left alone, and how it is tried again.
    ///
    /// Failures count that another attempt may mend: no answer, a server's error, a rate limit. A refusal for good shows that the other
    /// side works. While the circuit is open, steps wait and use up no attempts; then one goes first, and if it comes through the others
    /// follow, spread over a time.
    public struct Circuit: Sendable, Hashable {
        /// So many failures in a row open the circuit; at least 1. Default: 5.
        public var failures: Int
        /// How long it stays open at first; doubled with every attempt that fails after it, at least 1 ms. Default: 30 s.
        public var pause: Duration
        /// The longest it stays open. Default: 5 min.
        public var longestPause: Duration
        /// Over what time the steps that waited come back. Default: 10 s.
        public var spread: Duration

        /// Values outside a property's range are moved to its nearest end.
        public init(
            failures: Int = 5, pause: Duration = .seconds(30), longestPause: Duration = .minutes(5),
            spread: Duration = .seconds(10)
        ) {
            self.failures = max(failures, 1)
            self.pause = max(pause, .milliseconds(1))
            self.longestPause = max(longestPause, self.pause)
            self.spread = max(spread, .zero)
        }
    }
}
