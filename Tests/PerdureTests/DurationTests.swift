import Perdure
import Testing

@Suite struct DurationTests {
    @Test("Minutes, hours and days have their fixed lengths")
    func lengths() {
        #expect(Duration.minutes(2) == .seconds(120))
        #expect(Duration.hours(UInt8(2)) == .seconds(7_200))
        #expect(Duration.days(-1) == .seconds(-86_400))
    }

    @Test("What is too long saturates")
    func saturation() {
        #expect(Duration.minutes(Int.max) == .seconds(Int64.max))
        #expect(Duration.hours(UInt64.max) == .seconds(Int64.max))
        #expect(Duration.days(Int.min) == .seconds(Int64.min))
        #expect(Duration.days(Int64.max / 86_400) < .seconds(Int64.max))
    }

    @Test("Microseconds are whole, round towards zero and saturate")
    func microseconds() {
        #expect(Duration.milliseconds(1).microseconds == 1_000)
        #expect(Duration.nanoseconds(1_999).microseconds == 1)
        #expect(Duration.nanoseconds(-1_999).microseconds == -1)
        #expect(Duration.seconds(-1).microseconds == -1_000_000)
        #expect(Duration.seconds(Int64.max).microseconds == .max)
        #expect(Duration.seconds(Int64.min).microseconds == .min)
        #expect(Duration.microseconds(Int64.max).microseconds == .max)
        #expect(Duration.microseconds(Int64.min).microseconds == .min)
    }

    @Test("The longest retention does not trap")
    func retention() {
        #expect(Retention.days(.max) == .hours(.max))
        #expect(Retention.days(1) == .hours(24))
        #expect(Retention.forever != .days(.max))
    }

    @Test("An approval has at least a moment")
    func approval() {
        #expect(ApprovalRequirement.required(by: .anyone, within: .seconds(-1)).within == .milliseconds(1))
    }
}
