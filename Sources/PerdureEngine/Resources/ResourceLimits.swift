public import Perdure

/// What an engine allows for one other side (`StepPolicy.resource`): how many attempts at once, how many in a time, and when it gives the
/// other side a rest.
///
/// `concurrency` and `rate` hold for one engine and start anew with its process. Where several nodes share a store, engines with one
/// namespace share the circuits; each opens and closes them by its own `Circuit`.
public struct ResourceLimits: Sendable, Hashable {
    /// The most attempts under way at once; at least 1. `nil` means without limit. Default: `nil`.
    public var concurrency: Int? { didSet { concurrency = Self.concurrency(concurrency) } }
    /// The most attempts begun in a time. `nil` means without limit. Default: `nil`.
    public var rate: Rate?
    /// When the other side is left alone. `nil` means never. Default: `Circuit()`.
    public var circuit: Circuit?

    /// Values outside a property's range are moved to its nearest end, here and when they are set later.
    public init(concurrency: Int? = nil, rate: Rate? = nil, circuit: Circuit? = Circuit()) {
        self.concurrency = Self.concurrency(concurrency)
        self.rate = rate
        self.circuit = circuit
    }

    private static func concurrency(_ given: Int?) -> Int? { given.map { max($0, 1) } }

    /// When a resource that keeps failing is left alone, and how it is tried again.
    ///
    /// Failures count that another attempt may mend: no answer, a server's error, a rate limit. A refusal for good shows that the other
    /// side works. While the circuit is open, steps wait and use up no attempts; then one goes first, and if it comes through the others
    /// follow, spread over a time. Where several nodes share a store, the first that opens it holds all of them back, and one attempt of
    /// all of them goes first.
    public struct Circuit: Sendable, Hashable {
        /// So many failures in a row open the circuit; a single one that says when to come back (`ClassifiedError.retryAfter`)
        /// opens it as well. At least 1. Default: 5.
        public var failures: Int { didSet { failures = Self.failures(failures) } }
        /// How long it stays open at first; doubled with every attempt that fails after it. At least 1 ms. Default: 30 s.
        public var pause: Duration {
            didSet {
                pause = Self.pause(pause)
                longestPause = max(longestPause, pause)
            }
        }
        /// The longest that doubling leads to. It stays open for longer only where a failure says so (`ClassifiedError.retryAfter`).
        /// At least `pause`. Default: 5 min.
        public var longestPause: Duration { didSet { longestPause = max(longestPause, pause) } }
        /// How long a failure that says when to come back is believed. After that time the resource is tried again, whatever it said: a
        /// wrong unit must not shut it to all nodes for weeks. At least zero. Default: 1 h.
        public var longestRetryAfter: Duration { didSet { longestRetryAfter = max(longestRetryAfter, .zero) } }
        /// Over what time the steps that waited come back. At least zero. Default: 10 s.
        public var spread: Duration { didSet { spread = Self.spread(spread) } }

        /// Values outside a property's range are moved to its nearest end, here and when they are set later.
        public init(
            failures: Int = 5, pause: Duration = .seconds(30), longestPause: Duration = .minutes(5),
            spread: Duration = .seconds(10), longestRetryAfter: Duration = .hours(1)
        ) {
            self.failures = Self.failures(failures)
            self.pause = Self.pause(pause)
            self.longestPause = max(longestPause, Self.pause(pause))
            self.spread = Self.spread(spread)
            self.longestRetryAfter = max(longestRetryAfter, .zero)
        }

        private static func failures(_ given: Int) -> Int { max(given, 1) }
        private static func pause(_ given: Duration) -> Duration { max(given, .milliseconds(1)) }
        private static func spread(_ given: Duration) -> Duration { max(given, .zero) }
    }
}
