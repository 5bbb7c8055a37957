import Logging
import Synchronization

/// Passes on what a run logs while it is live, and nothing while it is replayed or taken out of memory.
struct QuietLogHandler: LogHandler {
    /// Shared by all loggers of one activation.
    final class Switch: Sendable {
        private let isOn = Atomic<Bool>(false)
        func turn(on: Bool) { isOn.store(on, ordering: .relaxed) }
        var isLive: Bool { isOn.load(ordering: .relaxed) }
    }

    var base: any LogHandler
    let isLive: Switch

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        if isLive.isLive { base.log(event: event) }
    }
}
