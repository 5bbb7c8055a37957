package import Foundation

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
///
/// Microseconds are what every store can hold without loss; arithmetic saturates instead of trapping, because the numbers
/// come from disk and from authors.
package struct Timestamp: Hashable, Sendable, Comparable {
    /// Microseconds since 1970-01-01T00:00:00Z; negative before it.
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package static let epoch = Timestamp(microseconds: 0)
    package static let distantPast = Timestamp(microseconds: .min)
    package static let distantFuture = Timestamp(microseconds: .max)

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// The time `duration` later; parts below a microsecond are dropped, beyond the range it saturates.
    package static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: Int64(clamping: Int128(time.microseconds) + duration.wholeMicroseconds))
    }

    /// The time `duration` earlier; parts below a microsecond are dropped, beyond the range it saturates.
    package static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: Int64(clamping: Int128(time.microseconds) - duration.wholeMicroseconds))
    }

    /// The time from `earlier` to this; negative if `earlier` is later. Exact over the whole range.
    package func duration(since earlier: Timestamp) -> Duration {
        .microseconds(microseconds) - .microseconds(earlier.microseconds)
    }
}

extension Timestamp {
    /// The nearest microsecond to `date`; dates outside the range saturate.
    package init(_ date: Date) {
        let value = (date.timeIntervalSince1970 * 1_000_000).rounded()
        if let exact = Int64(exactly: value) {
            self.init(microseconds: exact)
        } else {
            self.init(microseconds: value < 0 ? .min : .max)
        }
    }

    /// The same time as a `Date`, which holds today's times to about a tenth of a microsecond.
    package var date: Date {
        // In two parts, since Double(microseconds) would round before the division.
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return Date(timeIntervalSince1970: TimeInterval(seconds) + TimeInterval(rest) / 1_000_000)
    }
}

extension Timestamp: CustomStringConvertible {
    /// ISO 8601 in UTC with six decimals, like `2026-03-01T12:00:00.000123Z`; years outside 0...9999 carry a sign.
    package var description: String {
        let microsecondsPerDay: Int64 = 86_400_000_000
        var (days, rest) = microseconds.quotientAndRemainder(dividingBy: microsecondsPerDay)
        if rest < 0 {
            days -= 1
            rest += microsecondsPerDay
        }
        let (year, month, day) = Self.civil(daysSinceEpoch: days)
        let (seconds, fraction) = rest.quotientAndRemainder(dividingBy: 1_000_000)
        let sign = year < 0 ? "-" : year > 9999 ? "+" : ""
        let date = "\(sign)\(Self.padded(abs(year), 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
        let hours = Self.padded(seconds / 3600, 2)
        let minutes = Self.padded(seconds / 60 % 60, 2)
        return "\(date)T\(hours):\(minutes):\(Self.padded(seconds % 60, 2)).\(Self.padded(fraction, 6))Z"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// Proleptic Gregorian date of a day number; years are counted from March so that the leap day comes last.
    private static func civil(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

extension Duration {
    /// Whole microseconds, rounded towards zero; no `Duration` is too long for 128 bits.
    fileprivate var wholeMicroseconds: Int128 {
        let (seconds, attoseconds) = components
        return Int128(seconds) * 1_000_000 + Int128(attoseconds / 1_000_000_000_000)
    }
}
