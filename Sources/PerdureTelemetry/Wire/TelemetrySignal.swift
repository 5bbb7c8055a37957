/// The three kinds of telemetry, which go to services of their own.
package enum TelemetrySignal: String, Sendable, Hashable, CaseIterable {
    case traces, metrics, logs
}

extension TelemetrySignal {
    /// What a receiver's address is extended by over HTTP.
    package var path: String { "/v1/\(rawValue)" }

    /// The gRPC service with the method `Export`.
    package var service: String {
        let name =
            switch self {
            case .traces: "trace"
            case .metrics: "metrics"
            case .logs: "logs"
            }
        return "opentelemetry.proto.collector.\(name).v1.\(name.prefix(1).uppercased() + name.dropFirst())Service"
    }
}
