import Synchronization

/// The idempotency keys whose requests have not been answered yet. After a restart there are none.
final class KeysInProgress: Sendable {
    private let keys = Mutex<Set<String>>([])

    /// Takes a key, if nobody has it.
    func claim(_ key: String) -> Bool {
        keys.withLock { $0.insert(key).inserted }
    }

    /// Gives back a key that was claimed.
    func release(_ key: String) {
        keys.withLock { _ = $0.remove(key) }
    }
}
