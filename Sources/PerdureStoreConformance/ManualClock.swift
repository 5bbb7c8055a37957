package import PerdureHistory
internal import Synchronization

/// A clock that stands still until a test moves it.
package final class ManualClock: Sendable {
    private let time: Mutex<Timestamp>

    package init(_ start: Timestamp = Sample.start) { time = Mutex(start) }

    package var now: Timestamp { time.withLock { $0 } }

    package func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}
