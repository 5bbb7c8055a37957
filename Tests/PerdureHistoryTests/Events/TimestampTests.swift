import Foundation
import PerdureHistory
import Testing

@Suite struct TimestampTests {
    @Test(
        "a timestamp is described in ISO 8601 with microseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_709_210_096_000_007, "2024-02-29T12:34:56.000007Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+10000-01-01T00:00:00.000000Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
            (-62_167_219_200_000_001, "-0001-12-31T23:59:59.999999Z"),
            (Int64.max, "+294247-01-10T04:00:54.775807Z"),
            (Int64.min, "-290308-12-21T19:59:05.224192Z"),
        ])
    func iso(_ microseconds: Int64, _ text: String) {
        #expect(Timestamp(microseconds: microseconds).description == text)
    }

    @Test("the description agrees with Foundation's for every day of four centuries")
    func foundation() {
        for day in stride(from: Int64(-80_000), to: 80_000, by: 7) {
            let time = Timestamp(microseconds: day * 86_400_000_000 + 3_723_000_000)
            let expected = time.date.formatted(.iso8601).dropLast() + ".000000Z"
            #expect(time.description == expected)
        }
    }

    @Test("adding and subtracting durations saturates at both ends")
    func arithmetic() {
        let time = Timestamp(microseconds: 10)
        #expect(time + .microseconds(5) == Timestamp(microseconds: 15))
        #expect(time - .microseconds(15) == Timestamp(microseconds: -5))
        #expect(time + .nanoseconds(1999) == Timestamp(microseconds: 11))
        #expect(time + .seconds(Int64.max) == .distantFuture)
        #expect(time - .seconds(Int64.max) == .distantPast)
        #expect(time + .seconds(Int64.min) == .distantPast)
        #expect(time - .seconds(Int64.min) == .distantFuture)
        #expect(Timestamp.distantFuture + .microseconds(1) == .distantFuture)
        #expect(Timestamp.distantPast - .microseconds(1) == .distantPast)
        #expect(Timestamp.distantPast + .microseconds(-1) == .distantPast)
        #expect(Timestamp.distantFuture.duration(since: .distantPast) == .seconds(18_446_744_073_709) + .microseconds(551_615))
    }

    @Test("a date of today survives the way there and back to the microsecond")
    func dates() {
        for microseconds in [0, 1, -1, 1_772_366_400_123_457, -999_999, 4_102_444_800_000_001] as [Int64] {
            let time = Timestamp(microseconds: microseconds)
            #expect(Timestamp(time.date) == time)
        }
        #expect(Timestamp(Date(timeIntervalSince1970: .infinity)) == .distantFuture)
        #expect(Timestamp(Date(timeIntervalSince1970: -1e300)) == .distantPast)
    }

    @Test("timestamps compare by time")
    func order() {
        #expect(Timestamp.distantPast < .epoch)
        #expect(Timestamp.epoch < Timestamp(microseconds: 1))
    }
}
