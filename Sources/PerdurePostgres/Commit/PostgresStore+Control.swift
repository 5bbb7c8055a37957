internal import Perdure
package import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let one = SQL(
        "SELECT \(ControlRow.columns) FROM perdure.control WHERE kind = $1::text AND key = $2::text")
    private static let byKey = SQL(
        """
        SELECT \(ControlRow.columns) FROM perdure.control WHERE kind = $1::text AND key > coalesce($2::text, '')
        ORDER BY key LIMIT $3::bigint
        """)
    private static let byDue = SQL(
        """
        SELECT \(ControlRow.columns) FROM perdure.control WHERE kind = $1::text AND due <= $2::bigint
        ORDER BY due, key LIMIT $3::bigint
        """)
    private static let insert = SQL(
        """
        INSERT INTO perdure.control (kind, key, revision, value, due)
        VALUES ($1::text, $2::text, $3::bigint, $4::bytea, $5::bigint) ON CONFLICT (kind, key) DO NOTHING
        """)
    private static let update = SQL(
        """
        UPDATE perdure.control SET revision = $3::bigint, value = $4::bytea, due = $5::bigint
        WHERE kind = $1::text AND key = $2::text AND revision = $6::bigint
        """)
    private static let delete = SQL(
        "DELETE FROM perdure.control WHERE kind = $1::text AND key = $2::text AND revision = $3::bigint")
    // Passed over is what somebody else removes or changes at this moment.
    private static let deleteDue = SQL(
        """
        DELETE FROM perdure.control WHERE (kind, key) IN (
            SELECT kind, key FROM perdure.control WHERE kind = $1::text AND due <= $2::bigint
            ORDER BY due, key LIMIT $3::bigint FOR UPDATE SKIP LOCKED)
        """)

    package func control(_ key: ControlKey) async throws(StoreError) -> ControlRow? {
        try await read(on: browser) { session in try session.first(Self.one, key.kind, key.key) { try ControlRow($0) } }
    }

    package func controls(_ query: ControlQuery) async throws(StoreError) -> [ControlRow] {
        try await read(on: browser) { session in
            switch query {
            case .all(let kind, let key, let limit):
                try session.all(Self.byKey, kind, key, max(limit, 0)) { try ControlRow($0) }
            case .due(let kind, let time, let limit):
                try session.all(Self.byDue, kind, time, max(limit, 0)) { try ControlRow($0) }
            }
        }
    }

    package func changeControl(_ change: ControlChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.usage, "This cannot be kept: \(flaw).") }
        let key = change.key
        return try await write { session in
            let current = try session.first(Self.one, key.kind, key.key) { try ControlRow($0) }
            guard let isOpen = change.isOpen(on: current) else { return true }
            guard isOpen else { return false }
            guard let row = change.row else { return try session.execute(Self.delete, key.kind, key.key, change.expected) > 0 }
            // Two that find the same are told apart here.
            let count =
                if let expected = change.expected {
                    try session.execute(Self.update, key.kind, key.key, row.revision, Bytes(row.value), row.due, expected)
                } else {
                    try session.execute(Self.insert, key.kind, key.key, row.revision, Bytes(row.value), row.due)
                }
            return count > 0
        }
    }

    package func removeControls(kind: String, dueBy time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await write { session in try session.execute(Self.deleteDue, kind, time, max(limit, 0)) }
    }
}

extension ControlRow {
    static let columns = "kind, key, revision, value, due"

    init(_ row: Row) throws(BadRow) {
        self.init(
            ControlKey(try row.text(0), try row.text(1)), revision: try row.integer(2), value: try row.bytes(3),
            due: try row.optionalTime(4))
    }
}
