import Logging
import PerdureTelemetry
import ServiceLifecycle
import Synchronization

/// The time of a test: pauses before another try are over at once, and counted; what is longer than any of them never is.
final class SkippedTime: Sendable {
    private struct State {
        var elapsed = Duration.zero
        var pauses: [Duration] = []
    }

    private let state = Mutex(State())
    static let never = Duration.seconds(86_400)

    /// The pauses that were made, without those in which items wait for others.
    var pauses: [Duration] { state.withLock { $0.pauses } }

    var timing: ExportTiming {
        ExportTiming(
            elapsed: { [self] in state.withLock { $0.elapsed } },
            sleep: { [self] duration in
                guard duration < Self.never else {
                    return try await waitForCancellation(duration)
                }
                try Task.checkCancellation()
                state.withLock { state in
                    state.elapsed += duration
                    if duration > .zero { state.pauses.append(duration) }
                }
            },
            chance: { 1 })
    }
}

/// Is never over by itself, however short the time.
func waitForCancellation(_ duration: Duration) async throws {
    let (ends, end) = AsyncStream<Never>.makeStream()
    for await _ in ends {}
    end.finish()
    throw CancellationError()
}

/// Keeps what is logged.
final class LogKeeper: Sendable {
    private let lines = Mutex<[String]>([])
    var messages: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(keeper: self) } }

    private struct Handler: LogHandler {
        let keeper: LogKeeper
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            keeper.lines.withLock { $0.append((["\(event.message)"] + metadata).joined(separator: " ")) }
        }
    }
}

/// Runs an exporter while the body works, and ends it in order.
func running(_ exporter: OTLPExporter, _ body: () async throws -> Void) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [exporter], logger: logger)
    async let end: Void = group.run()
    do {
        try await body()
    } catch {
        await group.triggerGracefulShutdown()
        try await end
        throw error
    }
    await group.triggerGracefulShutdown()
    try await end
}

extension OTLPExporter {
    /// Exports as soon as it runs.
    @discardableResult
    func exportWhenRunning<Item: TelemetryItem>(_ items: [Item]) async throws(ExportFailure) -> Int {
        while true {
            do throws(ExportFailure) {
                return try await export(items)
            } catch {
                if error != .stopped { throw error }
                await Task.yield()
            }
        }
    }
}
