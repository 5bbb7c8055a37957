/// The five fields of a cron expression: minute, hour, day of the month, month, day of the week.
///
/// What crontab(5) and POSIX say of the five fields holds: `*`, numbers, names of months and days in English (`JAN`, `MON`), ranges
/// (`1-5`), lists (`1,15`) and steps (`*/15`, `8-18/2`). Sunday is 0 and 7. If both days are restricted, that is, neither of the two
/// fields begins with `*`, a day counts that fits either of them; otherwise one that fits both. In place of the five fields
/// may stand `@hourly`, `@daily` (or `@midnight`), `@weekly`, `@monthly` and `@yearly` (or `@annually`).
///
/// There are no seconds, no years, and none of `?`, `L`, `W` and `#`: an expression with one of them is an error.
public struct CronExpression: Sendable, Hashable, CustomStringConvertible {
    /// As it was given, in capitals and with single spaces.
    public let description: String

    /// One bit for each value.
    let minutes: UInt64
    let hours: UInt64
    let days: UInt64
    let months: UInt64
    /// Sunday is 0.
    let weekdays: UInt64
    let daysAreOpen: Bool
    let weekdaysAreOpen: Bool

    /// Whether it names every hour. Then it goes by the time that passes, not by what clocks on walls show.
    var isHourly: Bool { hours == (1 << 24) - 1 }

    /// How far ahead it is looked for a day: the 29th of February falls on each day of the week within 40 years.
    private static let horizon: Int64 = 41 * 366

    /// The first minute on the wall that fits, at or after this one. Both in seconds, as if the wall showed UTC.
    func firstMatch(atOrAfter wall: Int64) -> Int64? {
        var minute = wall.floorDivided(by: 60) + (wall.floorRemainder(by: 60) == 0 ? 0 : 1)
        let first = minute.floorDivided(by: 1_440)
        var day = first
        while day <= first + Self.horizon {
            let date = CivilDay(number: day)
            guard months & (1 << UInt64(date.month)) != 0 else {
                day = date.firstOfNextMonth
                minute = day * 1_440
                continue
            }
            if fits(date, day), let inDay = firstMinute(from: minute - day * 1_440) { return (day * 1_440 + inDay) * 60 }
            day += 1
            minute = day * 1_440
        }
        return nil
    }

    private func fits(_ date: CivilDay, _ number: Int64) -> Bool {
        let isDay = days & (1 << UInt64(date.day)) != 0
        // The epoch was a Thursday.
        let isWeekday = weekdays & (1 << UInt64((number + 4).floorRemainder(by: 7))) != 0
        return daysAreOpen || weekdaysAreOpen ? isDay && isWeekday : isDay || isWeekday
    }

    /// The first minute of a day that fits, from this one on.
    private func firstMinute(from start: Int64) -> Int64? {
        guard let last = hours.last, start <= last * 60 + 59 else { return nil }
        var hour = start / 60
        if hours & (1 << UInt64(hour)) != 0, let minute = minutes.first(from: start % 60) { return hour * 60 + minute }
        hour += 1
        guard let next = hours.first(from: hour), let minute = minutes.first(from: 0) else { return nil }
        return next * 60 + minute
    }
}

extension UInt64 {
    /// The lowest bit that is set, from this one on.
    fileprivate func first(from bit: Int64) -> Int64? {
        guard bit < 64 else { return nil }
        let rest = self >> UInt64(bit)
        return rest == 0 ? nil : bit + Int64(rest.trailingZeroBitCount)
    }

    fileprivate var last: Int64? { self == 0 ? nil : 63 - Int64(leadingZeroBitCount) }
}
