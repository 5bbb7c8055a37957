import CoreMetrics
import Foundation
import Logging
import PerdureHistory
import PerdureServer
import PerdureTelemetry

/// What a process counts and logs, for whoever collects it: a page for Prometheus, and OTLP where the environment names a receiver.
struct ProcessTelemetry {
    let metrics: MetricsPage
    /// Nil if nobody is to be told.
    let exporter: OTLPExporter?
    let logger: Logger

    /// Once in a process, and before anything that counts is made.
    ///
    /// - Throws: `PerdureError` with `configuration_invalid` for a variable of OpenTelemetry that cannot be.
    init(logLevel: Logger.Level) throws {
        let registry = MetricsRegistry(now: Self.now)
        MetricsSystem.bootstrap(registry)
        metrics = MetricsPage(type: PrometheusText.contentType) { PrometheusText.text(registry.snapshot()) }
        let own = Logger(label: ExportedLogHandler.ownLabel) { StreamLogHandler.standardError(label: $0) }
        let exporter = try OTLPConfiguration(environment: ProcessInfo.processInfo.environment).map {
            OTLPExporter($0, metrics: registry, logger: own)
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

    private static let now: @Sendable () -> Timestamp = { Timestamp(Date()) }
}
