internal import Perdure
internal import PerdureHistory
internal import Synchronization

/// So many a second for each name, and as many at once as two seconds bring (the generic cell rate algorithm of ITU-T I.371).
final class RateLimit: Sendable {
    private static let mostNames = 20_000

    private let interval: Duration
    private let burst: Duration
    /// When each would have used up what it had.
    private let times = Mutex<[String: Timestamp]>([:])

    init(perSecond rate: Int) {
        interval = .seconds(1) / rate
        burst = .seconds(2)
    }

    /// Counts one.
    ///
    /// - Returns: nil if it may pass, otherwise after what time the next one may.
    func take(_ name: String, at now: Timestamp) -> Duration? {
        times.withLock { times in
            let time = max(times[name] ?? now, now) + interval
            let ahead = time.duration(since: now)
            guard ahead <= burst else { return ahead - burst }
            if times.count >= Self.mostNames, times[name] == nil {
                times = times.filter { $0.value > now }
                // Nobody is let in uncounted. Who asks under ever new names has been known under each.
                guard times.count < Self.mostNames else { return interval }
            }
            times[name] = time
            return nil
        }
    }
}
