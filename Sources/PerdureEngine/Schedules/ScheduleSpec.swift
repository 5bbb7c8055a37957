public import Foundation
import Perdure
import PerdureHistory

/// When a schedule is due: at times on a calendar, or in even intervals.
///
/// A pure rule: the same spec has the same due times on every machine that knows the same rules for its time zone.
public struct ScheduleSpec: Sendable, Hashable, CustomStringConvertible {
    enum Rule: Hashable, Sendable {
        case cron(CronExpression, WallClock)
        /// In microseconds; the offset is within one interval of 1970-01-01T00:00:00Z.
        case every(Int64, offset: Int64)
    }

    let rule: Rule

    init(_ rule: Rule) { self.rule = rule }

    /// Due whenever the clocks on the walls of a place show what a cron expression names; see `CronExpression` for how it is written.
    ///
    /// An expression that names certain hours is due once for each time on the wall that it names: where clocks are put back, the first
    /// time they show it; where they are put forward over it, at the first moment after. One that names every hour (`*` or all of them)
    /// goes by the time that passes: an hourly schedule is due every hour, 23 or 25 times on such days.
    ///
    /// - Parameter zone: An IANA name, such as `Europe/Berlin`.
    /// - Throws: `PerdureError` with `cron_invalid` or `zone_unknown`.
    public static func cron(_ expression: String, in zone: String = "UTC") throws -> ScheduleSpec {
        ScheduleSpec(.cron(try CronExpression(expression), try WallClock(zone: zone)))
    }

    /// Due in even intervals, whatever calendars say.
    ///
    /// - Parameters:
    ///   - interval: 1 s to 10,000 days, in whole microseconds.
    ///   - anchor: One of the due times, past or future; the others are as many intervals before or after it. By default
    ///     1970-01-01T00:00:00Z.
    /// - Throws: `PerdureError` with `schedule_invalid`.
    public static func every(_ interval: Duration, anchor: Date = Date(timeIntervalSince1970: 0)) throws -> ScheduleSpec {
        guard interval >= .seconds(1), interval <= .days(10_000) else {
            throw PerdureError(.scheduleInvalid, "The interval is \(interval): it may be 1 second to 10,000 days long.")
        }
        let length = interval.microseconds
        return ScheduleSpec(.every(length, offset: Timestamp(anchor).microseconds.floorRemainder(by: length)))
    }

    /// The first due time after a moment; nil behind the year 9999.
    public func next(after date: Date) -> Date? { next(after: Timestamp(date))?.date }

    func next(after time: Timestamp) -> Timestamp? {
        switch rule {
        case .cron(let expression, let wall):
            // Due times are whole seconds: what is after a part of a second is after the whole ones before it.
            return expression.next(after: time.microseconds.floorDivided(by: 1_000_000), on: wall)
                .map { Timestamp(microseconds: $0 * 1_000_000) }
        case .every(let length, let offset):
            let count = (Int128(time.microseconds) - Int128(offset)).floorDivided(by: Int128(length)) + 1
            guard let next = Int64(exactly: count * Int128(length) + Int128(offset)), next <= Self.end else { return nil }
            return Timestamp(microseconds: next)
        }
    }

    /// The end of the year 9999.
    private static let end: Int64 = 253_402_300_799_000_000

    /// The due times from a moment on, as many as asked for.
    public func times(from date: Date, count: Int) -> [Date] {
        var times: [Date] = [],
            last = Timestamp(microseconds: Timestamp(date).microseconds.subtractingReportingOverflow(1).partialValue)
        while times.count < count, let next = next(after: last) {
            times.append(next.date)
            last = next
        }
        return times
    }

    /// The time zone by whose clocks it goes; nil for intervals.
    public var zone: String? {
        if case .cron(_, let wall) = rule { wall.name } else { nil }
    }

    public var description: String {
        switch rule {
        case .cron(let expression, let wall): "\(expression) in \(wall.name)"
        case .every(let length, let offset):
            "every \(Self.text(length))\(offset == 0 ? "" : ", \(Self.text(offset)) after the full one")"
        }
    }

    /// In seconds, with what is left of one.
    private static func text(_ microseconds: Int64) -> String {
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        for (size, unit) in [(86_400, "d"), (3_600, "h"), (60, "m")] where rest == 0 && seconds > 0 && seconds % Int64(size) == 0
        {
            return "\(seconds / Int64(size))\(unit)"
        }
        return rest == 0 ? "\(seconds)s" : "\(Double(microseconds) / 1_000_000)s"
    }
}

extension Int128 {
    fileprivate func floorDivided(by divisor: Int128) -> Int128 {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? quotient - 1 : quotient
    }
}
