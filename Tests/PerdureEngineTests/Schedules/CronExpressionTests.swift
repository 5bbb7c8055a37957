import Foundation
import Perdure
import PerdureHistory
import Testing

@testable import PerdureEngine

/// What cron expressions mean where clocks are never changed, and what is no expression.
struct CronExpressionTests {
    /// From 2026-11-22T10:00:00Z, a Sunday.
    private static let start = Date(timeIntervalSince1970: 1_795_341_600)

    @Test(
        arguments: [
            ("* * * * *", ["2026-11-22T10:00", "2026-11-22T10:01", "2026-11-22T10:02"]),
            ("*/15 * * * *", ["2026-11-22T10:00", "2026-11-22T10:15", "2026-11-22T10:30"]),
            ("30 9 * * *", ["2026-11-23T09:30", "2026-11-24T09:30", "2026-11-25T09:30"]),
            ("0 9 * * 1-5", ["2026-11-23T09:00", "2026-11-24T09:00", "2026-11-25T09:00"]),
            ("0 9 * * MON,fri", ["2026-11-23T09:00", "2026-11-27T09:00", "2026-11-30T09:00"]),
            ("0 0 * * 7", ["2026-11-29T00:00", "2026-12-06T00:00", "2026-12-13T00:00"]),
            ("0 0 * * 5-7", ["2026-11-27T00:00", "2026-11-28T00:00", "2026-11-29T00:00"]),
            ("0 0 1 JAN *", ["2027-01-01T00:00", "2028-01-01T00:00", "2029-01-01T00:00"]),
            ("0 0 31 * *", ["2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"]),
            ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
            ("5-20/7 8-18/5 * * *", ["2026-11-22T13:05", "2026-11-22T13:12", "2026-11-22T13:19"]),
            ("0 12 1,15 * *", ["2026-12-01T12:00", "2026-12-15T12:00", "2027-01-01T12:00"]),
            // Both days restricted: either counts.
            ("0 0 13 * 5", ["2026-11-27T00:00", "2026-12-04T00:00", "2026-12-11T00:00", "2026-12-13T00:00"]),
            // A step of '*' restricts nothing in this sense, as in crontab(5): both have to fit.
            ("0 0 */2 * 1", ["2026-11-23T00:00", "2026-12-07T00:00", "2026-12-21T00:00"]),
            ("@hourly", ["2026-11-22T10:00", "2026-11-22T11:00"]),
            ("@daily", ["2026-11-23T00:00", "2026-11-24T00:00"]),
            ("@weekly", ["2026-11-29T00:00", "2026-12-06T00:00"]),
            ("@monthly", ["2026-12-01T00:00", "2027-01-01T00:00"]),
            ("@yearly", ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ])
    func anExpressionNamesTheseTimes(text: String, expected: [String]) throws {
        let times = try ScheduleSpec.cron(text).times(from: Self.start, count: expected.count)
        #expect(times.map(minute) == expected)
    }

    @Test func the29thOfFebruaryOnAGivenDayOfTheWeekIsFoundAcrossACenturyWithoutALeapYear() throws {
        // A step of '*' in the days of the week: both have to fit.
        let spec = try ScheduleSpec.cron("0 0 29 2 */6")
        let times = spec.times(from: Date(timeIntervalSince1970: 3_800_000_000), count: 3)
        #expect(times.count == 3)
        for time in times {
            let parts = utc.dateComponents([.month, .day, .weekday], from: time)
            #expect(parts.month == 2 && parts.day == 29 && (parts.weekday == 1 || parts.weekday == 7))
        }
    }

    @Test(
        arguments: [
            ("", "0 fields"), ("* * * *", "4 fields"), ("0 * * * * *", "no seconds"), ("60 * * * *", "in the minute, '60'"),
            ("* 24 * * *", "in the hour"), ("* * 0 * *", "from 1 to 31"), ("* * * 13 *", "in the month"),
            ("* * * * 8", "from 0 to 7"),
            ("*/0 * * * *", "above 0"), ("5/15 * * * *", "behind '*' or a range"), ("*/5/2 * * * *", "written once"),
            ("9-5 * * * *", "begins after it ends"), ("* * * * FRI-MON", "two ranges"), ("1-2-3 * * * *", "two ends"),
            ("1,,2 * * * *", "only numbers"), ("0 0 ? * *", "none of ?"), ("0 0 L * *", "none of ?"),
            ("0 0 * * 5#2", "none of ?"),
            ("0 0 15W * *", "none of ?"), ("0 0 * * MOON", "SUN to SAT"), ("-1 * * * *", "only numbers"),
            ("１ * * * *", "only numbers"),
            ("@reboot", "is none of"), ("@daily 5", "is none of"), ("0 0 30 2 *", "never come"),
            ("0 0 31 4,6,9,11 *", "never come"),
            ("0 0 30 FEB */2", "never come"), ("99999999999999999999 * * * *", "only numbers"),
        ])
    func whatCannotBeUsedIsAnErrorThatSaysWhy(text: String, reason: String) throws {
        let error = try #require(throws: PerdureError.self) { try CronExpression(text) }
        #expect(error.code == .cronInvalid)
        #expect(error.message.contains(reason), "\(error.message)")
    }

    @Test(arguments: [
        "", "CET", "EST", "Europe/berlin", "Mars/Phobos", "GMT+3", "+01:00", "Europe/Berlin\u{0}", "../UTC", "/etc/passwd",
    ])
    func aZoneThatIsNoneIsAnError(name: String) throws {
        let error = try #require(throws: PerdureError.self) { try ScheduleSpec.cron("0 0 * * *", in: name) }
        #expect(error.code == .zoneUnknown)
    }

    @Test(arguments: [Duration.zero, .milliseconds(999), .seconds(-5), .days(10_001)])
    func anIntervalThatIsTooShortOrTooLongIsAnError(interval: Duration) throws {
        let error = try #require(throws: PerdureError.self) { try ScheduleSpec.every(interval) }
        #expect(error.code == .scheduleInvalid)
    }

    @Test func intervalsKeepTheirDistanceToTheirAnchorOnBothSides() throws {
        let spec = try ScheduleSpec.every(.minutes(90), anchor: Self.start)
        #expect(
            spec.times(from: Self.start - 3 * 5_400, count: 5)
                == (-3..<2).map { Self.start + Double($0) * 5_400 })
        #expect(spec.next(after: Self.start) == Self.start + 5_400)
        #expect(spec.next(after: Self.start - 0.001) == Self.start)
        let old = try ScheduleSpec.every(.seconds(7), anchor: Date(timeIntervalSince1970: -100))
        #expect(old.next(after: Date(timeIntervalSince1970: -101)) == Date(timeIntervalSince1970: -100))
    }

    @Test func nothingIsDueBehindTheEndOfTime() throws {
        for spec in [try ScheduleSpec.cron("* * * * *"), try .every(.seconds(1))] {
            #expect(spec.next(after: Timestamp.distantFuture) == nil)
            #expect(spec.next(after: Timestamp.distantPast).map { $0 > .distantPast } ?? true)
        }
    }

    @Test func whatIsWrittenInOtherWordsIsTheSameExpression() throws {
        #expect(try CronExpression("  0 9\t* * mon ") == CronExpression("0 9 * * MON"))
    }
}

private let utc: Calendar = {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    return calendar
}()

/// As `2026-11-22T10:00`, in UTC.
private func minute(_ date: Date) -> String { String(Timestamp(date).description.prefix(16)) }
