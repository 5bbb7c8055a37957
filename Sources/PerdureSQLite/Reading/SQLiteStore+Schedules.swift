internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let one = SQL("SELECT \(ScheduleRow.columns) FROM schedules WHERE namespace = ?1 AND id = ?2")
    private static let listed = SQL(
        """
        SELECT \(ScheduleRow.columns) FROM schedules
        WHERE (namespace, id) > (?2, ?3) AND (?1 IS NULL OR namespace = ?1) ORDER BY namespace, id LIMIT ?4
        """)
    private static let due = SQL(
        """
        SELECT \(ScheduleRow.columns) FROM schedules
        WHERE due_at IS NOT NULL AND due_at <= ?4 AND (due_at, namespace, id) > (?1, ?2, ?3)
        ORDER BY due_at, namespace, id LIMIT ?5
        """)

    package func schedules(_ query: ScheduleQuery) async throws(StoreError) -> [ScheduleRow] {
        try await read(on: reader) { session in
            // One that cannot be read is told of by the audit.
            switch query {
            case .one(let key):
                return try session.first(Self.one, key.namespace, key.id) { try ScheduleRow($0) }.map { [$0] } ?? []
            case .listed(let namespace, let after, let limit):
                return try session.all(Self.listed, namespace, after?.namespace ?? "", after?.id ?? "", max(0, limit)) {
                    try? ScheduleRow($0)
                }.compactMap(\.self)
            case .due(let after, let end, let limit):
                return try session.all(
                    Self.due, after?.at ?? .distantPast, after?.key.namespace ?? "", after?.key.id ?? "", end, max(0, limit)
                ) { try? ScheduleRow($0) }.compactMap(\.self)
            }
        }
    }

    private static let every = SQL("SELECT \(ScheduleRow.columns) FROM schedules ORDER BY number")

    static func scheduleBreaches(_ session: Session) throws -> [String] {
        try session.all(every) { row in
            do throws(BadRow) { return try ScheduleRow(row).breaches } catch { return ["a schedule cannot be read: \(error)"] }
        }.flatMap(\.self)
    }
}
