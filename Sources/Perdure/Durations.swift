extension Duration {
    /// 60 seconds each; saturates instead of trapping.
    public static func minutes(_ minutes: some BinaryInteger) -> Duration { saturating(minutes, times: 60) }
    /// 3,600 seconds each; saturates instead of trapping.
    public static func hours(_ hours: some BinaryInteger) -> Duration { saturating(hours, times: 3_600) }
    /// 86,400 seconds each, whatever a calendar says; saturates instead of trapping.
    public static func days(_ days: some BinaryInteger) -> Duration { saturating(days, times: 86_400) }

    private static func saturating(_ count: some BinaryInteger, times seconds: Int64) -> Duration {
        let (product, overflow) = Int64(clamping: count).multipliedReportingOverflow(by: seconds)
        return .seconds(overflow ? (count < 0 ? .min : .max) : product)
    }
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
