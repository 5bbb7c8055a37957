internal import Perdure
internal import PerdureHistory
internal import Synchronization

/// What was shown and found good lately. It is looked at again each time; but whoever shows it is no stranger.
final class Acquaintances: Sendable {
    private static let most = 20_000
    private static let time = Duration.seconds(600)

    private let seen = Mutex<[String: Timestamp]>([:])

    func has(_ credential: String, at now: Timestamp) -> Bool { seen.withLock { $0[credential].map { now < $0 } ?? false } }

    func add(_ credential: String, at now: Timestamp) {
        seen.withLock { seen in
            if seen.count >= Self.most, seen[credential] == nil {
                seen = seen.filter { now < $0.value }
                if seen.count >= Self.most { seen = [:] }
            }
            seen[credential] = now + Self.time
        }
    }
}
