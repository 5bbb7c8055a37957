/// When a batch is sent again: exponential backoff with jitter, unless the receiver says when. Pure.
struct RetryRule: Sendable {
    /// How long a batch is tried again before it is given up.
    let patience: Duration
    private static let first = Duration.seconds(1), longest = Duration.seconds(30)

    /// How long to wait before the next try.
    ///
    /// - Parameters:
    ///   - tries: How many there were.
    ///   - waited: The time since the first one began.
    ///   - asked: What the receiver asked for.
    ///   - chance: From 0 to 1: spreads those who wait over time.
    /// - Returns: nil if it is given up.
    func wait(afterTries tries: Int, waited: Duration, asked: Duration?, chance: Double) -> Duration? {
        let backoff = min(Self.first * Int(1 << min(max(tries, 1) - 1, 5)), Self.longest)
        // A receiver that asks for no time at all is not asked again and again all the same.
        let wait = max(asked ?? .zero, backoff * 0.5) + backoff * 0.5 * chance
        return waited + wait > patience ? nil : wait
    }
}
