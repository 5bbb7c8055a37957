internal import Perdure
package import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let one = SQL("SELECT \(ControlRow.columns) FROM control WHERE kind = ?1 AND key = ?2")
    private static let byKey = SQL(
        "SELECT \(ControlRow.columns) FROM control WHERE kind = ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key LIMIT ?3")
    private static let byDue = SQL(
        "SELECT \(ControlRow.columns) FROM control WHERE kind = ?1 AND due <= ?2 ORDER BY due, key LIMIT ?3")
    private static let put = SQL("INSERT OR REPLACE INTO control (kind, key, revision, value, due) VALUES (?1, ?2, ?3, ?4, ?5)")
    private static let delete = SQL("DELETE FROM control WHERE kind = ?1 AND key = ?2")
    private static let deleteDue = SQL(
        """
        DELETE FROM control WHERE (kind, key) IN
            (SELECT kind, key FROM control WHERE kind = ?1 AND due <= ?2 ORDER BY due, key LIMIT ?3)
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
        return try await write { session in
            let current = try session.first(Self.one, change.key.kind, change.key.key) { try ControlRow($0) }
            guard let isOpen = change.isOpen(on: current) else { return true }
            guard isOpen else { return false }
            guard let row = change.row else {
                try session.execute(Self.delete, change.key.kind, change.key.key)
                return true
            }
            try session.execute(Self.put, row.key.kind, row.key.key, row.revision, row.value, row.due)
            return true
        }
    }

    package func removeControls(kind: String, dueBy time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try await write { session in try session.execute(Self.deleteDue, kind, time, max(limit, 0)) }
    }
}

extension ControlRow {
    static let columns = "kind, key, revision, value, due"

    init(_ row: Statement) throws(BadRow) {
        self.init(
            ControlKey(try row.text(0), try row.text(1)), revision: try row.integer(2), value: try row.bytes(3),
            due: try row.optionalInteger(4).map(Timestamp.init(microseconds:)))
    }
}
