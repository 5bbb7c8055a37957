import Logging
import Synchronization

/// Keeps what was logged, so that a test can count lines.
final class LogRecorder: LogHandler {
    private let pulse: Pulse
    struct Entry: Sendable {
        let message: String
        let level: Logger.Level
        let metadata: [String: String]
    }

    private let all = Mutex<[Entry]>([])
    private let settings = Mutex<(metadata: Logger.Metadata, level: Logger.Level)>(([:], .debug))

    init(_ pulse: Pulse) { self.pulse = pulse }

    var entries: [Entry] { all.withLock { $0 } }
    var lines: [String] { entries.map(\.message) }
    func count(_ line: String) -> Int { lines.count { $0 == line } }

    var metadata: Logger.Metadata {
        get { settings.withLock { $0.metadata } }
        set { settings.withLock { $0.metadata = newValue } }
    }

    var logLevel: Logger.Level {
        get { settings.withLock { $0.level } }
        set { settings.withLock { $0.level = newValue } }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { settings.withLock { $0.metadata[key] } }
        set { settings.withLock { $0.metadata[key] = newValue } }
    }

    func log(event: LogEvent) {
        let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
        all.withLock { $0.append(Entry(message: "\(event.message)", level: event.level, metadata: metadata)) }
        pulse.ring()
    }
}
