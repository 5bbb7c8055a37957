package import Logging
import Synchronization

/// Passes on what is logged while it may be heard: what a run logs while it is live, and not while it is replayed or taken out of memory.
package struct QuietLogHandler: LogHandler {
    /// Shared by all loggers of one activation.
    final class Switch: Sendable {
        private let isOn = Atomic<Bool>(false)
        func turn(on: Bool) { isOn.store(on, ordering: .relaxed) }
        var isLive: Bool { isOn.load(ordering: .relaxed) }
    }

    private var base: any LogHandler
    private let isHeard: @Sendable () -> Bool

    package init(_ base: any LogHandler, isHeard: @escaping @Sendable () -> Bool) {
        self.base = base
        self.isHeard = isHeard
    }

    package var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    package var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    package func log(event: LogEvent) {
        if isHeard() { base.log(event: event) }
    }
}
