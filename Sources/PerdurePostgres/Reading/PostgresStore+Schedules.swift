internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let one = SQL(
        "SELECT \(ScheduleRow.columns) FROM perdure.schedules WHERE namespace = $1::text AND id = $2::text")
    private static let listed = SQL(
        """
        SELECT \(ScheduleRow.columns) FROM perdure.schedules
        WHERE (namespace, id) > ($2::text, $3::text) AND ($1::text IS NULL OR namespace = $1::text)
        ORDER BY namespace, id LIMIT $4::bigint
        """)
    private static let due = SQL(
        """
        SELECT \(ScheduleRow.columns) FROM perdure.schedules
        WHERE due_at IS NOT NULL AND due_at <= $4::bigint AND (due_at, namespace, id) > ($1::bigint, $2::text, $3::text)
        ORDER BY due_at, namespace, id LIMIT $5::bigint
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

    private static let every = SQL("SELECT \(ScheduleRow.columns) FROM perdure.schedules ORDER BY namespace, id")

    static func scheduleBreaches(_ session: Session) throws -> [String] {
        try session.all(every) { row in
            do throws(BadRow) { return try ScheduleRow(row).breaches } catch { return ["a schedule cannot be read: \(error)"] }
        }.flatMap(\.self)
    }
}
