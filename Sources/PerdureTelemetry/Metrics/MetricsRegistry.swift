package import CoreMetrics
package import PerdureHistory
internal import Synchronization

/// Where everything is that swift-metrics counts: a `MetricsFactory`, which an executable gives to `MetricsSystem.bootstrap`.
///
/// The same name and labels always lead to the same value, whoever asks. What was made stays until the process ends, also when its owner
/// destroys it: others may count with the same one. A metric has a bounded number of label sets; what comes beyond is counted in one with
/// the label `otel_metric_overflow`.
package final class MetricsRegistry: MetricsFactory {
    private enum Instrument {
        case counter(CounterInstrument)
        case gauge(GaugeInstrument)
        case histogram(HistogramInstrument)

        var kind: MetricFamily.Kind {
            switch self {
            case .counter: .counter
            case .gauge: .gauge
            case .histogram: .histogram
            }
        }

        var value: MetricFamily.Value {
            switch self {
            case .counter(let counter): return .number(counter.value)
            case .gauge(let gauge): return .number(gauge.value)
            case .histogram(let histogram):
                let distribution = histogram.distribution
                return .histogram(bounds: histogram.bounds, counts: distribution.counts, sum: distribution.sum)
            }
        }
    }

    private struct Family {
        let kind: MetricFamily.Kind
        var instruments: [[MetricFamily.Label]: Instrument] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let now: @Sendable () -> Timestamp
    private let start: Timestamp
    private let mostLabelSets: Int
    private static let overflow = [MetricFamily.Label(name: "otel_metric_overflow", value: "true")]

    /// - Parameter mostLabelSets: Of one metric.
    package init(mostLabelSets: Int = 1_000, now: @escaping @Sendable () -> Timestamp) {
        self.mostLabelSets = mostLabelSets
        self.now = now
        start = now()
    }

    /// All metrics as they are now, sorted by name.
    package func snapshot() -> [MetricFamily] {
        let time = max(start, now())
        return families.withLock { $0 }.sorted { $0.key < $1.key }.map { name, family in
            let points = family.instruments.map { MetricFamily.Point(labels: $0.key, value: $0.value.value) }
            return MetricFamily(
                name: name, kind: family.kind, points: points.sorted { Self.text($0.labels) < Self.text($1.labels) },
                start: start,
                time: time)
        }
    }

    private static func text(_ labels: [MetricFamily.Label]) -> String {
        labels.map { "\($0.name)\u{0}\($0.value)" }.joined(separator: "\u{0}")
    }

    // MARK: Making

    /// A name that has another kind of metric already, or that is one of the names under which a histogram is shown, gets that of its own
    /// kind behind it, until it has a name of its own: nothing is lost.
    private func instrument(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricFamily.Kind, make: () -> Instrument
    ) -> Instrument {
        let labels = Dictionary(dimensions.map { (MetricName.label($0.0, of: kind), $0.1) }) { $1 }
            .map { MetricFamily.Label(name: $0.key, value: $0.value) }.sorted { $0.name < $1.name }
        let name = MetricName.metric(label)
        return families.withLock { families in
            var key = name
            while families[key].map({ $0.kind != kind }) ?? Self.clashes(key, kind, families) { key += "_\(kind.rawValue)" }
            // In its place: a copy of what a metric has would be made for each look-up.
            if let found = families[key]?.instruments[labels] { return found }
            let hasRoom = (families[key]?.instruments.count ?? 0) < mostLabelSets
            let place = hasRoom ? labels : Self.overflow
            if let found = families[key]?.instruments[place] { return found }
            let made = make()
            families[key, default: Family(kind: kind)].instruments[place] = made
            return made
        }
    }

    private static let partsOfHistograms = ["_bucket", "_sum", "_count"]

    /// Whether a new metric would be shown under the name of another one.
    private static func clashes(_ name: String, _ kind: MetricFamily.Kind, _ families: [String: Family]) -> Bool {
        if kind == .histogram, partsOfHistograms.contains(where: { families[name + $0] != nil }) { return true }
        return partsOfHistograms.contains { part in
            name.hasSuffix(part) && families[String(name.dropLast(part.count))]?.kind == .histogram
        }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions)
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        counter(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { gauge(label, dimensions) }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate { return histogram(label, dimensions, HistogramInstrument.values) }
        return gauge(label, dimensions)
    }

    /// Durations are seconds, and named so.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label.hasSuffix("_seconds") ? label : "\(label)_seconds", dimensions, HistogramInstrument.seconds)
    }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterInstrument {
        let made = instrument(label, dimensions, .counter) { .counter(CounterInstrument()) }
        if case .counter(let counter) = made { return counter }
        return CounterInstrument()
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeInstrument {
        let made = instrument(label, dimensions, .gauge) { .gauge(GaugeInstrument()) }
        if case .gauge(let gauge) = made { return gauge }
        return GaugeInstrument()
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)], _ bounds: [Double]) -> HistogramInstrument {
        let made = instrument(label, dimensions, .histogram) { .histogram(HistogramInstrument(bounds)) }
        if case .histogram(let histogram) = made { return histogram }
        return HistogramInstrument(bounds)
    }

    // MARK: Destroying

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}
