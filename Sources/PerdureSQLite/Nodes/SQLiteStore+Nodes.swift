internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let endOthers = SQL("UPDATE nodes SET ended_at = ?2 WHERE ended_at IS NULL AND id <> ?1")
    // A run without a known owner could never be taken over.
    private static let rememberOwners = SQL(
        """
        INSERT OR IGNORE INTO nodes (id, build, host, process_id, hosted, started_at, ended_at)
        SELECT DISTINCT owner, '', '', 0, '[]', ?1, ?1 FROM runs WHERE owner IS NOT NULL AND typeof(owner) = 'text'
        """)
    private static let forgetIdle = SQL(
        "DELETE FROM nodes WHERE ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = nodes.id)")
    private static let insert = SQL(
        """
        INSERT INTO nodes (id, build, host, process_id, hosted, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET hosted = excluded.hosted, ended_at = NULL
        """)
    private static let end = SQL("UPDATE nodes SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL")

    package func register(_ node: NodeRegistration) async throws(StoreError) {
        try requireEngine("host runs")
        let now = now()
        try await write { session in
            // Whoever registered before did so in a process that has died, or in this one, which replaces it now.
            try session.execute(Self.rememberOwners, now)
            try session.execute(Self.endOthers, node.id, now)
            try session.execute(Self.forgetIdle)
            try session.execute(Self.insert, node.id, node.build, node.host, Int(node.processID), node.hostedText, now)
        }
        setNode(node.id)
    }

    package func unregister(_ node: NodeID) async throws(StoreError) {
        try requireEngine("host runs")
        let now = now()
        try await write { session in
            try session.execute(Self.end, node, now)
            // Runs that it still owns, against the rule, stay takeable: their owner is remembered as ended.
            try session.execute(Self.forgetIdle)
        }
        if self.node == node { setNode(nil) }
    }

    /// The lock on the file proves who lives.
    package var leaseLength: Duration? { nil }

    /// A file has one engine, which keeps its circuits to itself.
    package func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] { [] }
    package func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        throw .unusable(.usage, "A file has one engine, which shares its circuits with nobody.")
    }

    package func renew(_ node: NodeID) async throws(StoreError) -> [NodeID] {
        guard node == self.node else { throw .leaseLost }
        return []
    }

    /// Whoever has registered knows that there is no other.
    package func endLapsed(besides node: NodeID) async throws(StoreError) -> [NodeID] { [] }

    private static let living = SQL(
        """
        SELECT id, build, host, process_id, hosted, started_at, (SELECT count(*) FROM runs WHERE runs.owner = nodes.id)
        FROM nodes WHERE ended_at IS NULL
        """)

    /// Whoever holds the lock is the one node that lives. A file whose lock is free has none, whatever its rows say.
    package func nodes() async throws(StoreError) -> [NodeStanding] {
        guard isEngine || EngineLock.isHeld(beside: path) else { return [] }
        return try await read(on: browser) { session in
            try session.all(Self.living) { row in
                NodeStanding(
                    registration: try NodeRegistration(row), since: Timestamp(microseconds: try row.integer(5)),
                    ownedRuns: Int(try row.integer(6)))
            }
        }
    }
}

extension NodeRegistration {
    fileprivate init(_ row: Statement) throws(BadRow) {
        self.init(
            id: NodeID(rawValue: try row.text(0)), build: try row.text(1), host: try row.text(2),
            processID: Int32(truncatingIfNeeded: try row.integer(3)), hosted: try Self.hosted(stored: try row.text(4)))
    }
}
