internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let endOthers = SQL("UPDATE nodes SET ended_at = ?2 WHERE ended_at IS NULL AND id <> ?1")
    // A run without a known owner could never be taken over.
    private static let rememberOwners = SQL(
        """
        INSERT OR IGNORE INTO nodes (id, build, host, process_id, started_at, ended_at)
        SELECT DISTINCT owner, '', '', 0, ?1, ?1 FROM runs WHERE owner IS NOT NULL
        """)
    private static let forgetIdle = SQL(
        "DELETE FROM nodes WHERE ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = nodes.id)")
    private static let insert = SQL(
        """
        INSERT INTO nodes (id, build, host, process_id, started_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET ended_at = NULL
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
            try session.execute(Self.insert, node.id, node.build, node.host, Int(node.processID), now)
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
}
