import Perdure
import PerdureStore
import Testing

@testable import PerdureEngine

/// Schedules that are due at once, in a namespace whose quota is used up.
@Suite struct StartLinesTests {
    private func refusal(_ quota: QuotaRefusal.Quota, spacing: Duration? = nil) -> QuotaRefusal {
        QuotaRefusal(namespace: "shop", quota: quota, limit: 1, used: 1, wait: spacing.map { $0 / 2 }, spacing: spacing)
    }

    @Test func `once one is refused the others are not tried, and come again one after the other`() {
        var lines = StartLines()
        #expect(lines.place(in: "shop") == nil)
        #expect(lines.begin(refusal(.starts, spacing: .seconds(10))).pause == .seconds(5))
        let pauses = (0..<8).map { _ in lines.place(in: "shop")?.pause }
        let expected = [15, 25, 35, 45, 55, 60, 60, 60].enumerated().map { .seconds($1) + .microseconds($0 + 1) as Duration }
        #expect(pauses == expected, "a quota that was raised is found out soon")
        #expect(lines.place(in: "other") == nil)
        // Two that were tried in one commit.
        #expect(lines.begin(refusal(.starts, spacing: .seconds(10))).pause == .seconds(60) + .microseconds(9))
    }

    @Test func `where room comes at no known time all look again after a while`() {
        var lines = StartLines()
        for place in 0..<3 { #expect(lines.begin(refusal(.openRuns)).pause == .seconds(30) + .microseconds(place)) }
        #expect(lines.place(in: "shop")?.pause == .seconds(30) + .microseconds(3))
        #expect(lines.place(in: "shop")?.text.contains("'shop' has 1 open runs") == true)
    }

    @Test func `one that would keep less may have room where another has none`() {
        var lines = StartLines()
        _ = lines.begin(refusal(.payload))
        #expect(lines.place(in: "shop") == nil)
    }
}
