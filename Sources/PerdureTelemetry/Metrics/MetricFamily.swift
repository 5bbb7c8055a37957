package import PerdureHistory

/// All points of one metric at one time.
package struct MetricFamily: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case counter, gauge, histogram
    }

    package enum Value: Sendable, Hashable {
        case number(Double)
        /// The upper ends of the ranges, how many values are in each (one range more, without an end), and the sum of all.
        case histogram(bounds: [Double], counts: [UInt64], sum: Double)
    }

    package struct Point: Sendable, Hashable {
        /// Sorted by name.
        package var labels: [Label]
        package var value: Value
    }

    package struct Label: Sendable, Hashable {
        package var name: String
        package var value: String
    }

    package var name: String
    package var kind: Kind
    /// Sorted by their labels.
    package var points: [Point]
    /// Since when it is counted, and when it was read.
    package var start: Timestamp
    package var time: Timestamp
}

extension MetricFamily: TelemetryItem {
    package static var signal: TelemetrySignal { .metrics }

    private static let cumulative: UInt64 = 2

    package var bytes: [UInt8] {
        ProtobufWriter.message { metric in
            metric.string(name, at: 1)
            if name.hasSuffix("_seconds") { metric.string("s", at: 3) }
            switch kind {
            case .gauge: metric.message(at: 5) { points(&$0) }
            case .counter:
                metric.message(at: 7) { sum in
                    points(&sum)
                    sum.varint(Self.cumulative, at: 2)
                    sum.varint(1, at: 3)
                }
            case .histogram:
                metric.message(at: 9) { histogram in
                    points(&histogram)
                    histogram.varint(Self.cumulative, at: 2)
                }
            }
        }
    }

    private func points(_ writer: inout ProtobufWriter) {
        for point in points {
            let labels = point.labels.map { TelemetryAttribute($0.name, $0.value) }
            writer.message(at: 1) { message in
                message.fixed64(kind == .gauge ? 0 : start.nanoseconds, at: 2)
                message.fixed64(time.nanoseconds, at: 3)
                switch point.value {
                case .number(let number):
                    message.double(number, at: 4, evenIfZero: true)
                    message.attributes(labels, at: 7)
                case .histogram(let bounds, let counts, let sum):
                    message.fixed64(counts.reduce(0, +), at: 4)
                    message.double(sum, at: 5, evenIfZero: true)
                    message.packed(counts, at: 6)
                    message.packed(bounds.map(\.bitPattern), at: 7)
                    message.attributes(labels, at: 9)
                }
            }
        }
    }
}
