/// How long the other side remembers an idempotency key. Any length is taken; with zero or less the time is over at once.
/// It says nothing of how long histories are kept.
public struct Retention: Sendable, Hashable {
    /// `nil` means for ever.
    package let duration: Duration?

    /// The other side never forgets a key.
    public static let forever = Retention(duration: nil)
    /// As many seconds.
    public static func seconds(_ count: Int) -> Retention { Retention(duration: .seconds(count)) }
    /// As many minutes.
    public static func minutes(_ count: Int) -> Retention { Retention(duration: .minutes(count)) }
    /// As many hours.
    public static func hours(_ count: Int) -> Retention { Retention(duration: .hours(count)) }
    /// As many days of 86,400 seconds.
    public static func days(_ count: Int) -> Retention { Retention(duration: .days(count)) }
}
