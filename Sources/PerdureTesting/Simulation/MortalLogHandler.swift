import Logging

/// Passes on what a process logs for as long as it lives.
struct MortalLogHandler: LogHandler {
    var base: any LogHandler
    let isAlive: @Sendable () -> Bool

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
        if isAlive() { base.log(event: event) }
    }
}
