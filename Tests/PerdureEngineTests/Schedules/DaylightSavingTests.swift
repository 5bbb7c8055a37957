import Foundation
import Perdure
import PerdureHistory
import Testing

@testable import PerdureEngine

/// Cron expressions where clocks are put forward and back.
struct DaylightSavingTests {
    struct Story: Sendable, CustomTestStringConvertible {
        let zone: String
        let expression: String
        /// In UTC.
        let from: String
        let due: [String]
        var testDescription: String { "\(expression) in \(zone) from \(from)" }

        init(_ zone: String, _ expression: String, from: String, _ due: String...) {
            self.zone = zone
            self.expression = expression
            self.from = from
            self.due = due
        }
    }

    // Berlin: 2026-03-29 02:00 → 03:00 at 01:00Z, 2026-10-25 03:00 → 02:00 at 01:00Z. New York: 2026-03-08 02:00 → 03:00 at 07:00Z,
    // 2026-11-01 02:00 → 01:00 at 06:00Z. Lord Howe: 2026-04-05 02:00 → 01:30 at 15:00Z of the day before, 2026-10-04 02:00 → 02:30 at
    // 15:30Z of the day before. Apia: no 2011-12-30, which would have begun at 10:00Z.
    static let stories = [
        // A time that clocks pass over: at the moment after, once.
        Story(
            "Europe/Berlin", "30 2 * * *", from: "2026-03-28T00:00", "2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"),
        Story(
            "America/New_York", "30 2 * * *", from: "2026-03-07T00:00", "2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"
        ),
        Story(
            "Australia/Lord_Howe", "15 2 * * *", from: "2026-10-02T15:00", "2026-10-02T15:45", "2026-10-03T15:30",
            "2026-10-04T15:15"),
        // Many of them at once are one moment, and so is one that the wall shows then anyway.
        Story(
            "Europe/Berlin", "0,20,40 2,3 * * *", from: "2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T01:20",
            "2026-03-29T01:40", "2026-03-30T00:00"),
        // A time that clocks show twice: the first time, once.
        Story(
            "Europe/Berlin", "30 2 * * *", from: "2026-10-24T00:00", "2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"),
        Story(
            "America/New_York", "30 1 * * *", from: "2026-10-31T00:00", "2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"
        ),
        Story(
            "Australia/Lord_Howe", "45 1 * * *", from: "2026-04-03T12:00", "2026-04-03T14:45", "2026-04-04T14:45",
            "2026-04-05T15:15"),
        // The hour that begins when clocks are put back begins once: the second 02:00 is not another one.
        Story(
            "Europe/Berlin", "0 2,3 * * *", from: "2026-10-25T00:00", "2026-10-25T00:00", "2026-10-25T02:00", "2026-10-26T01:00"),
        // Every hour is every hour that passes.
        Story(
            "Europe/Berlin", "30 * * * *", from: "2026-03-29T00:00", "2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"),
        Story(
            "Europe/Berlin", "30 * * * *", from: "2026-10-24T23:00", "2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T01:30",
            "2026-10-25T02:30"),
        Story(
            "Europe/Berlin", "*/30 0-23 * * *", from: "2026-10-25T00:10", "2026-10-25T00:30", "2026-10-25T01:00",
            "2026-10-25T01:30"),
        Story(
            "America/New_York", "*/30 * * * *", from: "2026-11-01T05:10", "2026-11-01T05:30", "2026-11-01T06:00",
            "2026-11-01T06:30"),
        Story(
            "Australia/Lord_Howe", "*/30 * * * *", from: "2026-04-04T14:10", "2026-04-04T14:30", "2026-04-04T15:00",
            "2026-04-04T15:30"),
        Story(
            "Australia/Lord_Howe", "0 * * * *", from: "2026-04-04T13:30", "2026-04-04T14:00", "2026-04-04T15:30",
            "2026-04-04T16:30"),
        Story(
            "Australia/Lord_Howe", "*/30 * * * *", from: "2026-10-03T15:00", "2026-10-03T15:00", "2026-10-03T15:30",
            "2026-10-03T16:00"),
        // A day that a place has skipped: the times that it would have had are the moment in which the next day begins.
        Story("Pacific/Apia", "0 9 * * *", from: "2011-12-29T00:00", "2011-12-29T19:00", "2011-12-30T10:00", "2011-12-30T19:00"),
        Story("Pacific/Apia", "0 0 30 12 *", from: "2011-01-01T00:00", "2011-12-30T10:00", "2012-12-29T10:00"),
        Story("Pacific/Apia", "0 * * * *", from: "2011-12-30T09:00", "2011-12-30T09:00", "2011-12-30T10:00", "2011-12-30T11:00"),
        Story("UTC", "30 2 * * *", from: "2026-03-29T00:00", "2026-03-29T02:30", "2026-03-30T02:30"),
    ]

    @Test(arguments: stories) func itIsDueAtTheseTimes(story: Story) throws {
        let spec = try ScheduleSpec.cron(story.expression, in: story.zone)
        #expect(spec.times(from: try date(story.from), count: story.due.count).map(minute) == story.due)
    }

    @Test func inTheSecondPassOfAnHourNothingThatWasNamedOnceIsDueAgain() throws {
        let spec = try ScheduleSpec.cron("* 2 * * *", in: "Europe/Berlin")
        #expect(
            spec.times(from: try date("2026-10-25T00:58"), count: 3).map(minute) == [
                "2026-10-25T00:58", "2026-10-25T00:59", "2026-10-26T01:00",
            ])
        #expect(spec.times(from: try date("2026-10-25T01:30"), count: 1).map(minute) == ["2026-10-26T01:00"])
    }

    // MARK: Against a slow rule of its own

    struct Wanted: Sendable, CustomTestStringConvertible {
        let expression: String
        let minutes: Set<Int64>
        let hours: Set<Int64>
        var fits: @Sendable (_ month: Int, _ day: Int, _ weekday: Int) -> Bool = { _, _, _ in true }
        var testDescription: String { expression }
    }

    static let wanted = [
        Wanted(expression: "*/30 * * * *", minutes: [0, 30], hours: Set(0..<24)),
        Wanted(expression: "17 * * * *", minutes: [17], hours: Set(0..<24)),
        Wanted(expression: "30 2 * * *", minutes: [30], hours: [2]),
        Wanted(expression: "*/20 1-3 * * *", minutes: [0, 20, 40], hours: [1, 2, 3]),
        Wanted(expression: "45 */2 * * *", minutes: [45], hours: Set(stride(from: 0, to: 24, by: 2))),
        Wanted(expression: "0 0 30 * *", minutes: [0], hours: [0]) { _, day, _ in day == 30 },
        Wanted(expression: "59 23 13 * 5", minutes: [59], hours: [23]) { _, day, weekday in day == 13 || weekday == 5 },
        Wanted(expression: "*/7 * * 3,10 0", minutes: Set(stride(from: 0, to: 60, by: 7)), hours: Set(0..<24)) {
            month, _, weekday in (month == 3 || month == 10) && weekday == 0
        },
    ]

    @Test(
        arguments: [
            ("Europe/Berlin", 2026), ("Australia/Lord_Howe", 2026), ("Pacific/Apia", 2011),
            ("Africa/Casablanca", 2026),
        ])
    func aWholeYearAgreesWithGoingThroughItMinuteByMinute(zone: String, year: Int) throws {
        let timeZone = try #require(TimeZone(identifier: zone))
        let begin = Int64(try date("\(year)-01-01T00:00").timeIntervalSince1970) / 60
        let end = Int64(try date("\(year + 1)-01-01T00:00").timeIntervalSince1970) / 60
        let walls = ((begin - 1)..<end).map { minute in
            minute + Int64(timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(minute) * 60))) / 60
        }
        for wanted in Self.wanted {
            let spec = try ScheduleSpec.cron(wanted.expression, in: zone)
            var found: [Int64] = [], last = Timestamp(microseconds: begin * 60_000_000 - 1)
            while let next = spec.next(after: last), next.microseconds < end * 60_000_000 {
                found.append(next.microseconds / 60_000_000)
                last = next
            }
            #expect(found == due(wanted, begin, walls), "\(wanted.expression)")
        }
    }

    /// - Parameter walls: What the wall shows in each minute, from the one before the first.
    private func due(_ wanted: Wanted, _ begin: Int64, _ walls: [Int64]) -> [Int64] {
        let goesByTime = wanted.hours.count == 24
        var fits: [Int64: Bool] = [:], due: [Int64] = []
        func matches(_ wall: Int64) -> Bool {
            guard wanted.minutes.contains(wall % 60), wanted.hours.contains(wall / 60 % 24) else { return false }
            let day = wall / 1_440
            if let known = fits[day] { return known }
            let parts = calendar.dateComponents(
                [.month, .day, .weekday], from: Date(timeIntervalSince1970: Double(day) * 86_400))
            let answer = wanted.fits(parts.month ?? 0, parts.day ?? 0, (parts.weekday ?? 0) - 1)
            fits[day] = answer
            return answer
        }
        var shown = walls[0]
        for (index, wall) in walls.dropFirst().enumerated() {
            if goesByTime {
                if matches(wall) { due.append(begin + Int64(index)) }
            } else if wall > shown {
                if ((shown + 1)...wall).contains(where: matches) { due.append(begin + Int64(index)) }
                shown = wall
            }
        }
        return due
    }
}

private let calendar: Calendar = {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    return calendar
}()

private func date(_ minute: String) throws -> Date { try Date("\(minute):00Z", strategy: .iso8601) }
/// As `2026-11-22T10:00`, in UTC.
private func minute(_ date: Date) -> String { String(Timestamp(date).description.prefix(16)) }
