import CoreMetrics
import Foundation
import Logging
import PerdureEngine
import PerdureHistory
import PerdureServer
import PerdureTelemetry

/// What a process counts and logs, for whoever collects it: a page for Prometheus, and OTLP where the environment names a receiver.
struct ProcessTelemetry {
    let metrics: MetricsPage
    /// Nil if nobody is to be told.
    let exporter: OTLPExporter?
    let logger: Logger

    /// How long the end of the process may take to send what waits: the part of the patience that its work leaves.
    static func flushLimit(within patience: Duration) -> Duration { min(.seconds(10), patience / 4) }

    /// Once in a process, and before anything that counts is made.
    ///
    /// - Parameter patience: How long the process may take to end.
    /// - Throws: `PerdureError` with `configuration_invalid` for a variable of OpenTelemetry that cannot be.
    init(logLevel: Logger.Level, patience: Duration) throws {
        let registry = MetricsRegistry(now: Self.now)
        MetricsSystem.bootstrap(registry)
        metrics = MetricsPage(type: PrometheusText.contentType) { PrometheusText.text(registry.snapshot()) }
        let own = Logger(label: ExportedLogHandler.ownLabel) { StreamLogHandler.standardError(label: $0) }
        let exporter = try OTLPConfiguration(environment: ProcessInfo.processInfo.environment).map { configuration in
            var configuration = configuration
            configuration.flushLimit = Self.flushLimit(within: patience)
            return try OTLPExporter(configuration, metrics: registry, logger: own)
        }
        self.exporter = exporter
        var logger = Logger(label: "perdure") { label in
            let console = StreamLogHandler.standardError(label: label)
            guard let exporter else { return console }
            return MultiplexLogHandler([console, ExportedLogHandler(label: label, now: Self.now) { _ = exporter.offer($0) }])
        }
        logger.logLevel = logLevel
        self.logger = logger
    }

    /// Sends the spans of a store's runs; nil if nobody is to be told.
    ///
    /// - Parameters:
    ///   - namespaces: Those whose runs are told; nil for all.
    ///   - closes: Whether what `open` gives is to be closed.
    func spans(
        of namespaces: Set<String>? = nil, closes: Bool, _ open: @escaping @Sendable () async throws -> Client
    ) -> SpanService? {
        guard let exporter, exporter.sends(.traces) else { return nil }
        return SpanService(exporter: exporter, logger: logger, namespaces: namespaces, closes: closes, open: open)
    }

    private static let now: @Sendable () -> Timestamp = { Timestamp(Date()) }
}
