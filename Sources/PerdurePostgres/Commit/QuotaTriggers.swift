internal import PerdureStore

/// The triggers that count what namespaces take. Whoever sets quotas sees to them, one at a time.
enum QuotaTriggers: CaseIterable, Sendable {
    /// Of bytes of values.
    case values
    /// Of open runs.
    case runs

    /// What they are on.
    var tables: [String] {
        switch self {
        case .runs: ["runs"]
        case .values: ["events", "blobs"]
        }
    }

    /// One of them stands for all: they come and go in one transaction.
    private var first: (table: String, name: String) {
        switch self {
        case .runs: ("perdure.runs", "runs_begun")
        case .values: ("perdure.events", "events_added")
        }
    }

    private var script: String {
        switch self {
        case .runs: Schema.runTriggers
        case .values: Schema.valueTriggers
        }
    }

    private static let identity = SQL(
        "SELECT oid::bigint FROM pg_catalog.pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = $2::text")
    private static let lacking = SQL(
        """
        SELECT quote_ident(current_user), string_agg('perdure.' || name, ', ') FROM unnest($1::text[]) AS needed (name)
        WHERE NOT has_table_privilege('perdure.' || name, 'TRIGGER') HAVING count(*) > 0
        """)

    /// Tells them from those that are made after they were dropped; nil if they are not there.
    func identity(_ session: Session) throws -> Int64? {
        try session.first(Self.identity, first.table, first.name) { try $0.integer(0) }
    }

    /// Has everything counted from here on. What was not has been committed when the locks are had.
    func begin(_ session: Session) throws {
        let isThere = try identity(session) != nil
        let names = tables.map { "perdure.\($0)" }.joined(separator: ", ")
        try session.run("LOCK TABLE \(names) IN SHARE ROW EXCLUSIVE MODE")
        if !isThere { try session.run(script) }
    }

    /// Before anybody is made to wait for them.
    ///
    /// - Throws: `StoreError.unusable` with `store_refused` if they have to be made and the user may not do it.
    func demandRight(_ session: Session) throws {
        guard try identity(session) == nil,
            let (user, tables) = try session.first(Self.lacking, tables, row: { (try $0.text(0), try $0.text(1)) })
        else { return }
        throw StoreError.unusable(
            .storeRefused,
            "The user lacks the right to make the triggers that count what a namespace takes. Have the owner of the tables run: GRANT TRIGGER ON \(tables) TO \(user); or set the quota as the owner. docs/errors/store_refused.md says more."
        )
    }
}
