internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let hold = SQL("LOCK TABLE perdure.namespaces IN ROW EXCLUSIVE MODE")
    private static let one = SQL("SELECT \(NamespaceRow.columns) FROM perdure.namespaces WHERE name = $1::text")
    private static let all = SQL("SELECT \(NamespaceRow.columns) FROM perdure.namespaces ORDER BY name")
    // Only on top of what was seen: two that find no row at the same time, or the same one, are told apart here.
    private static let insert = SQL(
        """
        INSERT INTO perdure.namespaces (name, version, closed_after, removed_after, archive, changed_by, changed_at)
        VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::boolean, $6::text, $7::bigint) ON CONFLICT (name) DO NOTHING
        """)
    private static let update = SQL(
        """
        UPDATE perdure.namespaces SET version = $2::bigint, closed_after = $3::bigint, removed_after = $4::bigint,
            archive = $5::boolean, changed_by = $6::text, changed_at = $7::bigint
        WHERE name = $1::text AND version = $8::bigint
        """)
    private static let delete = SQL("DELETE FROM perdure.namespaces WHERE name = $1::text AND version = $2::bigint")
    private static let counts = SQL("SELECT namespace, state, count(*) FROM perdure.runs GROUP BY namespace, state")

    package func setNamespace(_ change: NamespaceChange) async throws(StoreError) -> Bool {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be set: \(flaw).") }
        return try await write { session in
            // First of all: what is read then is not changed by a round that goes on.
            try session.execute(Self.hold)
            let current = try session.first(Self.one, change.name) { try NamespaceRow($0) }
            guard let isOpen = change.isOpen(on: current) else { return true }
            guard isOpen else { return false }
            guard let row = change.row else { return try session.execute(Self.delete, change.name, change.expected) > 0 }
            let terms = row.terms, actor = row.changedBy.storedText
            let count =
                if let expected = change.expected {
                    try session.execute(
                        Self.update, row.name, row.version, terms.closedAfter?.microseconds, terms.removedAfter?.microseconds,
                        terms.archives, actor, row.changedAt, expected)
                } else {
                    try session.execute(
                        Self.insert, row.name, row.version, terms.closedAfter?.microseconds, terms.removedAfter?.microseconds,
                        terms.archives, actor, row.changedAt)
                }
            return count > 0
        }
    }

    package func namespaces() async throws(StoreError) -> [NamespaceRow] {
        try await read(on: reader) { session in try session.all(Self.all) { try? NamespaceRow($0) }.compactMap(\.self) }
    }

    package func namespaceCounts() async throws(StoreError) -> [String: [RunState: Int]] {
        try await read(on: browser) { session in
            var counts: [String: [RunState: Int]] = [:]
            for (name, state, count) in try session.all(
                Self.counts, row: { (try $0.text(0), try $0.state(1), try $0.integer(2)) })
            {
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
    private static let terms = SQL("SELECT \(NamespaceRow.columns) FROM perdure.namespaces")

    /// What is set for namespaces.
    func terms() throws -> [String: RetentionTerms] {
        let rows = try all(Self.terms) { (try $0.text(0), (try? NamespaceRow($0))?.terms ?? .everything) }
        return Dictionary(rows) { first, _ in first }
    }
}

extension NamespaceRow {
    static let columns = "name, version, closed_after, removed_after, archive, changed_by, changed_at"

    init(_ row: Row) throws(BadRow) {
        let name = try row.text(0)
        guard let actor = Principal(stored: try row.text(5)) else { throw BadRow("nobody has set it for '\(name)'") }
        self.init(
            name: name, version: try row.integer(1),
            terms: try RetentionTerms(
                closedAfter: try row.optionalInteger(2), removedAfter: try row.optionalInteger(3), archives: try row.bool(4)),
            changedBy: actor, changedAt: try row.time(6))
    }
}
