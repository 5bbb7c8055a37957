internal import CoreMetrics
internal import Logging
internal import Synchronization

/// Counts what is not exported, and tells of it: once at first, then at most once a minute.
final class ExportLosses: Sendable {
    private struct State {
        var dropped: [TelemetrySignal: Int] = [:]
        var untold: [TelemetrySignal: Int] = [:]
        var reason = ""
        var toldAt: Duration?
    }

    private let state = Mutex(State())
    private let logger: Logger
    private let elapsed: @Sendable () -> Duration
    private static let pause = Duration.seconds(60)

    init(_ logger: Logger, elapsed: @escaping @Sendable () -> Duration) {
        self.logger = logger
        self.elapsed = elapsed
    }

    func dropped(of signal: TelemetrySignal) -> Int { state.withLock { $0.dropped[signal] ?? 0 } }

    func note(_ count: Int, _ signal: TelemetrySignal, _ reason: String) {
        guard count > 0 else { return }
        Counter(label: "perdure_telemetry_dropped_total", dimensions: [("signal", signal.rawValue)]).increment(by: count)
        state.withLock { state in
            state.dropped[signal, default: 0] += count
            state.untold[signal, default: 0] += count
            state.reason = reason
        }
        tell(isLast: false)
    }

    /// Tells what was not told yet.
    ///
    /// - Parameter isLast: Whether nothing more will come: then it is told however little time has passed.
    func tell(isLast: Bool) {
        let now = elapsed()
        let news = state.withLock { state -> (counts: [TelemetrySignal: Int], reason: String)? in
            guard !state.untold.isEmpty, isLast || state.toldAt.map({ now - $0 >= Self.pause }) ?? true else { return nil }
            defer { (state.untold, state.toldAt) = ([:], now) }
            return (state.untold, state.reason)
        }
        guard let news else { return }
        var metadata: Logger.Metadata = ["reason": "\(news.reason)"]
        for (signal, count) in news.counts { metadata[signal.rawValue] = "\(count)" }
        logger.warning("telemetry is dropped", metadata: metadata)
    }
}
