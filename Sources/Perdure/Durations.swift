extension Duration {
    /// 60 seconds each.
    public static func minutes(_ minutes: some BinaryInteger) -> Duration { .seconds(Int64(minutes) * 60) }
    /// 3,600 seconds each.
    public static func hours(_ hours: some BinaryInteger) -> Duration { .seconds(Int64(hours) * 3_600) }
    /// 86,400 seconds each, whatever a calendar says.
    public static func days(_ days: some BinaryInteger) -> Duration { .seconds(Int64(days) * 86_400) }
}

extension Duration {
    /// Whole microseconds, the unit of every time in history; saturates instead of trapping.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, over) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return over ? (seconds < 0 ? .min : .max) : sum
    }
}
