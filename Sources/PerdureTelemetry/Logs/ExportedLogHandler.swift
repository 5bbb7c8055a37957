package import Logging
internal import Perdure
package import PerdureHistory

/// Hands what is logged to an exporter, beside another handler that shows it: put both into a `MultiplexLogHandler`.
///
/// A record whose metadata names a run belongs to its trace; one that names a step and an attempt too, to the attempt's span. In a run
/// that was reset, or for an attempt that is made again after a doubt, that span's id can be another one.
package struct ExportedLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level = .info
    private let label: String
    private let now: @Sendable () -> Timestamp
    private let offer: @Sendable (LogRecord) -> Void

    /// What the exporter itself logs must not be exported: it would never end.
    package static let ownLabel = "perdure.telemetry"

    package init(
        label: String, metadataProvider: Logger.MetadataProvider? = nil, now: @escaping @Sendable () -> Timestamp,
        offer: @escaping @Sendable (LogRecord) -> Void
    ) {
        self.label = label
        self.metadataProvider = metadataProvider
        self.now = now
        self.offer = offer
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        guard label != Self.ownLabel else { return }
        var all = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        if let error = event.error { all["error"] = all["error"] ?? "\(error)" }
        let texts = all.mapValues { "\($0)" }, place = Self.place(texts)
        let attributes = texts.sorted { $0.key < $1.key }.map { TelemetryAttribute($0.key, $0.value) }
        offer(
            LogRecord(
                at: now(), severity: event.level.severity, level: event.level.rawValue, message: "\(event.message)",
                attributes: [TelemetryAttribute("logger", label)] + attributes, traceID: place?.traceID, spanID: place?.spanID))
    }

    private static func place(_ metadata: [String: String]) -> (traceID: TraceID, spanID: SpanID)? {
        guard let run = metadata["run"].flatMap(RunID.init) else { return nil }
        guard let step = metadata["step"], let attempt = metadata["attempt"].flatMap(Int64.init) else {
            return (TraceID(run), .root(of: run))
        }
        let identity = AttemptIdentity(subject: step, isUndo: metadata["undo"] == "true", number: attempt)
        return (TraceID(run), .attempt(identity, in: run))
    }
}

extension Logger.Level {
    fileprivate var severity: UInt64 {
        switch self {
        case .trace: 1
        case .debug: 5
        case .info: 9
        case .notice: 10
        case .warning: 13
        case .error: 17
        case .critical: 21
        }
    }
}
