internal import CoreMetrics
internal import Synchronization

/// A sum that only grows.
final class CounterInstrument: CounterHandler, FloatingPointCounterHandler {
    private let sum = Mutex(0.0)

    var value: Double { sum.withLock { $0 } }

    /// What would make it smaller is passed over.
    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        sum.withLock { $0 += amount }
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func reset() { sum.withLock { $0 = 0 } }
}

/// A value that goes up and down.
final class GaugeInstrument: MeterHandler, RecorderHandler {
    private let state = Mutex(0.0)

    var value: Double { state.withLock { $0 } }

    func set(_ value: Double) { state.withLock { $0 = value } }
    func set(_ value: Int64) { set(Double(value)) }
    func increment(by amount: Double) { state.withLock { $0 += amount } }
    func decrement(by amount: Double) { state.withLock { $0 -= amount } }
    func record(_ value: Double) { set(value) }
    func record(_ value: Int64) { set(Double(value)) }
}

/// How values are spread over ranges.
final class HistogramInstrument: RecorderHandler, TimerHandler {
    struct Distribution: Sendable, Hashable {
        /// How many values are in each range; the last one has no upper end.
        var counts: [UInt64]
        var sum = 0.0
        var count: UInt64 { counts.reduce(0, +) }
    }

    /// The upper ends of the ranges, which belong to them, in growing order.
    let bounds: [Double]
    private let state: Mutex<Distribution>

    /// Those that OpenTelemetry has if nothing else is said, for durations in seconds and for values of any kind.
    static let seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    static let values: [Double] = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000]

    init(_ bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Distribution(counts: [UInt64](repeating: 0, count: bounds.count + 1)))
    }

    var distribution: Distribution { state.withLock { $0 } }

    /// What is no number would make the sum none.
    func record(_ value: Double) {
        guard value.isFinite else { return }
        let range = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { distribution in
            distribution.counts[range] += 1
            distribution.sum += value
        }
    }

    func record(_ value: Int64) { record(Double(value)) }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
}
