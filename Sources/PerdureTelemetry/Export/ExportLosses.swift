internal import CoreMetrics
internal import Logging
internal import Synchronization

/// Counts what is not exported, and tells of it: at once at first, then at most once in an interval.
final class ExportLosses: Sendable {
    private struct State {
        var dropped: [TelemetrySignal: Int] = [:]
        var untold: [TelemetrySignal: (count: Int, reason: String)] = [:]
        var toldAt: Duration?
        /// What receivers have said of what they took, and when it was told.
        var remarks: [TelemetrySignal: (text: String, toldAt: Duration)] = [:]
        var counters: [TelemetrySignal: Counter] = [:]
    }

    private let state = Mutex(State())
    private let logger: Logger
    private let elapsed: @Sendable () -> Duration
    private let pause: Duration

    init(_ logger: Logger, pause: Duration = .seconds(60), elapsed: @escaping @Sendable () -> Duration) {
        self.logger = logger
        self.pause = pause
        self.elapsed = elapsed
    }

    func dropped(of signal: TelemetrySignal) -> Int { state.withLock { $0.dropped[signal] ?? 0 } }

    func note(_ count: Int, _ signal: TelemetrySignal, _ reason: String) {
        guard count > 0 else { return }
        let counter = state.withLock { state in
            state.dropped[signal, default: 0] += count
            state.untold[signal] = ((state.untold[signal]?.count ?? 0) + count, reason)
            if let counter = state.counters[signal] { return counter }
            // Made when it is needed: whoever made the exporter may not have said yet where metrics go.
            let counter = Counter(label: "perdure_telemetry_dropped_total", dimensions: [("signal", signal.rawValue)])
            state.counters[signal] = counter
            return counter
        }
        counter.increment(by: count)
        tell(isLast: false)
    }

    /// Tells what was not told yet.
    ///
    /// - Parameter isLast: Whether nothing more will come: then it is told however little time has passed.
    func tell(isLast: Bool) {
        let now = elapsed()
        let news = state.withLock { state -> [TelemetrySignal: (count: Int, reason: String)]? in
            guard !state.untold.isEmpty, isLast || state.toldAt.map({ now - $0 >= pause }) ?? true else { return nil }
            defer { (state.untold, state.toldAt) = ([:], now) }
            return state.untold
        }
        guard let news else { return }
        var metadata: Logger.Metadata = [:]
        for (signal, (count, reason)) in news {
            metadata[signal.rawValue] = "\(count)"
            metadata["\(signal.rawValue)_reason"] = "\(reason)"
        }
        logger.warning("telemetry is dropped", metadata: metadata)
    }

    /// Tells what a receiver says of what it took, at most once in an interval.
    func remark(_ text: String, _ signal: TelemetrySignal) {
        let now = elapsed()
        let isNew = state.withLock { state in
            if let last = state.remarks[signal], last.text == text, now - last.toldAt < pause { return false }
            state.remarks[signal] = (text, now)
            return true
        }
        if isNew { logger.warning("a receiver says something about telemetry", metadata: ["\(signal.rawValue)": "\(text)"]) }
    }
}
