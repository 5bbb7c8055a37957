internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let one = SQL("SELECT \(NamespaceRow.columns) FROM namespaces WHERE name = ?1")
    private static let all = SQL("SELECT \(NamespaceRow.columns) FROM namespaces ORDER BY name")
    private static let put = SQL(
        """
        INSERT OR REPLACE INTO namespaces (name, version, closed_after, removed_after, archive, changed_by, changed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        """)
    private static let delete = SQL("DELETE FROM namespaces WHERE name = ?1")
    private static let counts = SQL("SELECT namespace, state, count(*) FROM runs GROUP BY namespace, state")

    package func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        return try await write { session in
            let current = try session.first(Self.one, change.name) { try NamespaceRow($0) }
            guard let isOpen = change.isOpen(on: current) else { return true }
            guard isOpen else { return false }
            guard let row = change.row else {
                try session.execute(Self.delete, change.name)
                return true
            }
            try session.execute(
                Self.put, row.name, row.version, row.terms.closedAfter?.microseconds, row.terms.removedAfter?.microseconds,
                row.terms.archives, row.changedBy.storedText, row.changedAt)
            return true
        }
    }

    package func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try await read(on: reader) { session in try session.all(Self.all) { try? NamespaceRow($0) }.compactMap(\.self) }
    }

    package func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] {
        try await read(on: browser) { session in
            var counts: [String: [RunState: Int]] = [:]
            for (name, state, count) in try session.all(
                Self.counts, row: { (try $0.text(0), RunState(rawValue: try $0.text(1)), try $0.integer(2)) })
            {
                guard let state else { throw BadRow("the state of a run of namespace '\(name)' is unknown") }
                counts[name, default: [:]][state] = Int(count)
            }
            return counts
        }
    }

    static func namespaceBreaches(_ session: Session) throws -> [String] {
        try session.all(all) { row in
            do throws(BadRow) {
                _ = try NamespaceRow(row)
                return nil
            } catch {
                return "what is set for a namespace cannot be read: \(error)"
            }
        }.compactMap(\.self)
    }
}

extension Session {
    private static let terms = SQL("SELECT \(NamespaceRow.columns) FROM namespaces")

    /// What is set for namespaces. A name that cannot be read is no namespace's.
    func terms() throws -> [String: RetentionTerms] {
        var terms: [String: RetentionTerms] = [:]
        try forEach(Self.terms) { row in
            guard let name = try? row.text(0) else { return true }
            terms[name] = (try? NamespaceRow(row))?.terms ?? .everything
            return true
        }
        return terms
    }
}

extension NamespaceRow {
    static let columns = "name, version, closed_after, removed_after, archive, changed_by, changed_at"

    init(_ row: Statement) throws(BadRow) {
        let name = try row.text(0)
        guard let actor = Principal(stored: try row.text(5)) else { throw BadRow("nobody has set it for '\(name)'") }
        self.init(
            name: name, version: try row.integer(1),
            terms: try RetentionTerms(
                closedAfter: try row.optionalInteger(2), removedAfter: try row.optionalInteger(3),
                archives: try row.integer(4) != 0),
            changedBy: actor, changedAt: Timestamp(microseconds: try row.integer(6)))
    }
}
