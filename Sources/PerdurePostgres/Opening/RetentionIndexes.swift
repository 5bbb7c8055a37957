internal import Logging
internal import Perdure
internal import PerdureStore
internal import Synchronization

/// The indexes that find what is past its time, namespace by namespace. A store that is made has them at once; one that was there before
/// gets them while it is in use, beside the work of all nodes, which on a large table takes a while.
final class RetentionIndexes: Sendable {
    private enum State {
        case unknown
        case underWay
        case there
    }

    private let state = Mutex(State.unknown)
    /// Why they could not be made the last time.
    private let failure = Mutex<String?>(nil)
    /// The last attempt to make them.
    private let making = Mutex<Task<Void, Never>?>(nil)

    private static let names = ["runs_closings", "runs_burials"]
    private static let definitions = [
        "runs_closings ON perdure.runs (namespace, closed_at, number) WHERE closed_at IS NOT NULL AND expired_at IS NULL",
        "runs_burials ON perdure.runs (namespace, expired_at, number) WHERE expired_at IS NOT NULL",
    ]
    /// Where nothing is in the table yet.
    static let script = definitions.map { "CREATE INDEX \($0)" }.joined(separator: ";\n")

    private static let valid = SQL(
        """
        SELECT relname::text FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
            JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = '\(Schema.name)' AND relname IN ('runs_closings', 'runs_burials') AND indisvalid
        """)
    private static let alone = AdvisoryLock.retentionIndexes.tryForConnection

    /// Whether they can be used. If they are not there, they are made, and nobody waits for it.
    func areThere(_ store: PostgresStore) async throws(StoreError) -> Bool {
        let known = state.withLock { $0 }
        switch known {
        case .there: return true
        case .underWay: return false
        case .unknown: break
        }
        let count = try await store.read(on: store.reader) { try $0.all(Self.valid) { _ in () }.count }
        if count == Self.names.count {
            state.withLock { $0 = .there }
            return true
        }
        let isFirst = state.withLock { state in
            guard state == .unknown else { return false }
            state = .underWay
            return true
        }
        if isFirst {
            let address = store.address, logger = store.options.logger
            let task = Task.detached { await self.make(address, logger) }
            making.withLock { $0 = task }
        }
        return false
    }

    /// What keeps them from being made; nil if nothing is known to.
    var trouble: String? { failure.withLock { $0 } }

    /// Waits for an attempt to make them that is under way.
    func made() async { await making.withLock { $0 }?.value }

    private func make(_ address: ServerAddress, _ logger: Logger) async {
        // For as long as it takes. If this process ends the server stops, and another one begins anew.
        let connection = Connection(
            address, label: "perdure.postgres.indexes", options: ConnectionOptions(answerLimit: .hours(7 * 24), isProven: true))
        do {
            try await connection.perform { session in
                guard try session.exists(Self.alone) else { return }
                let there = try session.all(Self.valid) { try $0.text(0) }
                for (name, definition) in zip(Self.names, Self.definitions) where !there.contains(name) {
                    logger.notice(
                        "an index for retention is made; nothing expires until it is there", metadata: ["index": "\(name)"])
                    // What is left of an attempt that was broken off.
                    try session.run("DROP INDEX CONCURRENTLY IF EXISTS perdure.\(name)")
                    try session.run("CREATE INDEX CONCURRENTLY \(definition)")
                }
            }
            failure.withLock { $0 = nil }
        } catch {
            failure.withLock { $0 = "\(error)" }
            logger.warning("an index for retention cannot be made now", metadata: ["error": "\(error)"])
        }
        await connection.close()
        // The next round looks whether it is there.
        state.withLock { $0 = .unknown }
    }
}
