/// Metrics in the text format of Prometheus, version 0.0.4.
package enum PrometheusText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package static func text(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families {
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for point in family.points { append(point, of: family.name, to: &text) }
        }
        return text
    }

    private static func append(_ point: MetricFamily.Point, of name: String, to text: inout String) {
        switch point.value {
        case .number(let value): text += "\(name)\(labels(point.labels)) \(number(value))\n"
        case .histogram(let bounds, let counts, let sum):
            var count: UInt64 = 0
            for (bound, more) in zip(bounds + [.infinity], counts) {
                count += more
                let bucket = point.labels + [MetricFamily.Label(name: "le", value: number(bound))]
                text += "\(name)_bucket\(labels(bucket)) \(count)\n"
            }
            text += "\(name)_sum\(labels(point.labels)) \(number(sum))\n"
            text += "\(name)_count\(labels(point.labels)) \(count)\n"
        }
    }

    private static func labels(_ labels: [MetricFamily.Label]) -> String {
        if labels.isEmpty { return "" }
        return "{\(labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ","))}"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        // By scalars: a mark behind a quote makes one character with it.
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }
}
