internal import PerdureHistory

/// The time in statements: the server's, unless a value is given.
enum StoreClock {
    /// - Parameter parameter: of the statement, a time or null.
    static func now(_ parameter: String) -> String {
        "coalesce(\(parameter)::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
    }
}
