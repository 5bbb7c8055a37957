import PerdureCLI
import Testing

/// A short soak, and what a long one would say of what grows. `make soak` takes an hour.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SoakTests {
    // Promise: 47
    @Test func `nodes under a steady load of every kind bring every run to its end`() async throws {
        let (status, report): (Int32, SoakReport) = try await CrashHarness.report(
            of: ["soak", "--json", "--minutes", "0.2", "--interval", "4", "--rate", "20", "--nodes", "2"])
        #expect(status == 0 && report.isGood, "\(report.findings)")
        #expect(report.runs >= 200 && report.failed == 0 && report.samples.count == 3)
        // Too few to be compared.
        #expect(report.trends.isEmpty)
        for sample in report.samples {
            #expect(sample.storeMb > 0 && sample.nodesMemoryMb > 0 && sample.serverMemoryMb > 0 && sample.walMbPerMinute > 0)
        }
    }

    private static func samples(_ change: (inout SoakSample, Int) -> Void) -> [SoakSample] {
        (0..<60).map { number in
            var sample = SoakSample(minute: Double(number))
            (sample.walMbPerMinute, sample.storeMb, sample.nodesMemoryMb) = (100, 200, 150)
            (sample.serverMemoryMb, sample.deadTuples) = (180, Double(20_000 + number % 5 * 10_000))
            change(&sample, number)
            return sample
        }
    }

    @Test func `what stays as it is counts as flat, and what grows does not`() {
        let flat = SoakReport.trends(of: Self.samples { _, _ in })
        let isFlat = flat.allSatisfy { $0.isFlat }
        #expect(flat.count == 7 && isFlat)
        // Until the first quarter is over everything may.
        let warm = SoakReport.trends(of: Self.samples { $0.storeMb = $1 < 15 ? Double($1) : 200 }).allSatisfy { $0.isFlat }
        #expect(warm)
        let growing = SoakReport.trends(
            of: Self.samples { sample, number in
                sample.storeMb += Double(number) * 2
                sample.nodesMemoryMb += Double(number) * 2
                sample.deadTuples += Double(number) * 4_000
            })
        let names = Set(growing.filter { !$0.isFlat }.map { $0.name })
        #expect(names == ["store_mb", "nodes_memory_mb", "dead_tuples"])
        var report = SoakReport()
        report.trends = growing
        #expect(!report.isGood)
    }
}
