import CoreMetrics
import Foundation
import PerdureHistory
import PerdureProcess
import Testing

@testable import PerdureTelemetry

@Suite struct MetricsTests {
    private static func registry(_ mostLabelSets: Int = 1_000) -> MetricsRegistry {
        MetricsRegistry(mostLabelSets: mostLabelSets) { .epoch + .seconds(7) }
    }

    @Test func `whoever counts under one name counts together`() {
        let registry = Self.registry()
        Counter(label: "a_total", dimensions: [("x", "1"), ("y", "2")], factory: registry).increment()
        let other = Counter(label: "a_total", dimensions: [("y", "2"), ("x", "1")], factory: registry)
        other.increment(by: 4)
        other.destroy()
        FloatingPointCounter(label: "a_total", dimensions: [("x", "3")], factory: registry).increment(by: 0.5)
        #expect(
            PrometheusText.text(registry.snapshot())
                == "# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 5\na_total{x=\"3\"} 0.5\n")
    }

    @Test func `a gauge goes up and down`() {
        let registry = Self.registry(), meter = Meter(label: "open", factory: registry)
        meter.set(4)
        meter.decrement(by: 1.5)
        Gauge(label: "resident", factory: registry).record(Double.infinity)
        #expect(
            PrometheusText.text(registry.snapshot()) == "# TYPE open gauge\nopen 2.5\n# TYPE resident gauge\nresident +Inf\n")
    }

    @Test func `a sum never shrinks, and a value that is no number is passed over`() {
        let registry = Self.registry()
        Counter(label: "a", factory: registry).increment(by: -3)
        let recorder = Recorder(label: "b", factory: registry)
        recorder.record(Double.nan)
        recorder.record(7)
        let families = registry.snapshot()
        #expect(families[0].points[0].value == .number(0))
        let counts = HistogramInstrument.values.map { $0 == 10 ? UInt64(1) : 0 } + [0]
        #expect(families[1].points[0].value == .histogram(bounds: HistogramInstrument.values, counts: counts, sum: 7))
    }

    @Test func `a value at the end of a range belongs to it`() {
        let histogram = HistogramInstrument([1, 2])
        for value in [1.0, 1.5, 2, 3] { histogram.record(value) }
        #expect(histogram.distribution.counts == [1, 2, 1] && histogram.distribution.sum == 7.5)
    }

    @Test func `a metric has no more sets of labels than it may`() {
        let registry = Self.registry(3)
        for number in 0..<10 { Counter(label: "a", dimensions: [("n", "\(number)")], factory: registry).increment() }
        let points = registry.snapshot()[0].points
        #expect(points.count == 4)
        let rest = points.first { $0.labels.first?.name == "otel_metric_overflow" }
        #expect(rest?.value == .number(7))
        Counter(label: "a", dimensions: [("n", "1")], factory: registry).increment()
        #expect(registry.snapshot()[0].points.first { $0.labels.first?.value == "1" }?.value == .number(2))
    }

    @Test func `a name that is taken by another kind gets its kind behind it`() {
        let registry = Self.registry()
        Counter(label: "a", factory: registry).increment()
        Meter(label: "a", factory: registry).set(2)
        #expect(registry.snapshot().map(\.name) == ["a", "a_gauge"])
    }

    @Test func `whatever names are taken, no value is lost and no name is shown twice`() {
        let registry = Self.registry()
        Counter(label: "a_gauge", factory: registry).increment(by: 1)
        Counter(label: "a", factory: registry).increment(by: 2)
        for _ in 0..<2 { Meter(label: "a", factory: registry).increment(by: 3) }
        Counter(label: "wait_count", factory: registry).increment(by: 4)
        Recorder(label: "wait", dimensions: [("le", "x")], factory: registry).record(5)
        Counter(label: "wait_histogram_sum", factory: registry).increment(by: 6)
        let text = PrometheusText.text(registry.snapshot())
        for line in [
            "a_gauge 1", "a 2", "a_gauge_gauge 6", "wait_count 4", "wait_histogram_sum{label_le=\"x\"} 5",
            "wait_histogram_sum_counter 6", "wait_histogram_bucket{label_le=\"x\",le=\"5\"} 1",
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line) in \(text)")
        }
    }

    @Test(
        .timeLimit(.minutes(1)), .disabled(if: ReceiverProcess.isSkipped, Comment(rawValue: ReceiverProcess.skipReason)))
    func `Prometheus's own parser reads what was meant, whatever stands in names and labels`() async throws {
        let registry = Self.registry(), wild = "a\"b\\c\nd\u{301}\"\u{301} é,}{="
        Counter(label: "runs.closed-total", dimensions: [("work flow", wild), ("__x", "1"), ("7", "")], factory: registry)
            .increment()
        let timer = Timer(label: "commit", dimensions: [("store", "sqlite")], factory: registry)
        timer.recordMilliseconds(30)
        timer.recordSeconds(99)
        Gauge(label: "7resident", factory: registry).record(1e300)
        let process = try LineProcess(
            executable: ReceiverProcess.python, [ReceiverProcess.folder.appending(path: "prometheus.py").path])
        process.say(PrometheusText.text(registry.snapshot()))
        process.stop()
        var families: [JSONValue] = []
        for await line in process.lines { families.append(try JSONValue.parse(Array(line), what: "a line")) }
        let status = await process.wait()
        try #require(status == 0)
        #expect(families.map { $0["name"] } == ["_7resident", "commit_seconds", "runs_closed"])
        #expect(families.map { $0["kind"] } == ["gauge", "histogram", "counter"])
        try #require(families.count == 3)
        let samples = families.map { $0["samples"]?.arrayValue ?? [] }
        #expect(samples[0][0][2] == "1e+300")
        #expect(samples[2][0][1] == ["work_flow": .string(wild), "label__x": "1", "_7": ""])
        let buckets = samples[1].filter { $0[0] == "commit_seconds_bucket" }
        #expect(buckets.map { $0[2] } == ["0.0", "0.0", "0.0"] + [JSONValue](repeating: "1.0", count: 11) + ["2.0"])
        #expect(buckets.last?[1]?["le"] == "+Inf" && samples[1].last?[2] == "2.0")
    }
}
