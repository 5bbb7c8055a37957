/// So much in so much time, evenly spread, with short bursts: admissions from a queue (`QueueLimits`), attempts for another side.
///
/// In no window of the period's length are there more than `count + burst - 1`.
public struct Rate: Sendable, Hashable {
    /// At least 1.
    public let count: Int
    /// 1 ms to 366 days.
    public let period: Duration
    /// How many may begin at once after a quiet time: 1 to 100,000.
    public let burst: Int

    /// `count` in `period`. Values outside a range are moved to its nearest end.
    public init(_ count: Int, per period: Duration, burst: Int = 1) {
        self.count = max(count, 1)
        self.period = min(max(period, .milliseconds(1)), .seconds(366 * 86_400))
        self.burst = min(max(burst, 1), 100_000)
    }
}
