internal import Perdure
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

    private var names: [(table: String, name: String)] {
        switch self {
        case .runs: [("runs", "runs_begun"), ("runs", "runs_moved")]
        case .values:
            [("events", "events_added"), ("events", "events_removed"), ("blobs", "blobs_added"), ("blobs", "blobs_removed")]
        }
    }

    private var script: String {
        switch self {
        case .runs: Schema.runTriggers
        case .values: Schema.valueTriggers
        }
    }

    private static let number = SQL(
        "SELECT oid::bigint FROM pg_catalog.pg_trigger WHERE tgrelid = $1::text::regclass AND tgname = $2::text")
    private static let lacking = SQL(
        """
        SELECT quote_ident(current_user), string_agg('perdure.' || name, ', ' ORDER BY place)
        FROM unnest($1::text[]) WITH ORDINALITY AS needed (name, place)
        WHERE NOT has_table_privilege('perdure.' || name, 'TRIGGER') HAVING count(*) > 0
        """)

    /// Tells them from those that are made after they were dropped; nil if they are not there. One stands for all: they come and go in one
    /// transaction.
    func identity(_ session: Session) throws -> Int64? {
        guard let first = names.first else { return nil }
        return try session.first(Self.number, "perdure.\(first.table)", first.name) { try $0.integer(0) }
    }

    /// For how long a transaction waits that locks whole tables: everybody who wants to commit waits behind it.
    enum Patience: String, Sendable {
        case brief = "SET LOCAL lock_timeout = '200ms'"
        /// A vacuum that can yield does so for whoever has waited for a second (`deadlock_timeout`).
        case untilVacuumYields = "SET LOCAL lock_timeout = '2s'"
    }

    /// Has everything counted from here on. What was not has been committed when the locks are had.
    ///
    /// - Throws: `TablesInUse` if they cannot be had in time.
    func begin(_ session: Session, _ patience: Patience) throws {
        let isThere = try identity(session) != nil
        let names = tables.map { "perdure.\($0)" }.joined(separator: ", ")
        try session.run(patience.rawValue)
        do {
            try session.run("LOCK TABLE \(names) IN SHARE ROW EXCLUSIVE MODE")
        } catch let failure as ServerFailure where failure.sqlState == "55P03" {
            throw TablesInUse()
        }
        if !isThere { try session.run(script) }
    }

    /// Before anybody is made to wait for them.
    ///
    /// - Throws: `StoreError.unusable` with `store_refused` if some of them have to be made and the user may not do it.
    static func demandRights(to begin: [QuotaTriggers], _ session: Session) throws {
        let missing = try begin.filter { try $0.identity(session) == nil }.flatMap(\.tables)
        guard let (user, tables) = try session.first(lacking, missing, row: { (try $0.text(0), try $0.text(1)) }) else { return }
        throw StoreError.unusable(
            .storeRefused,
            "The user lacks the right to make the triggers that count what a namespace takes. Have the owner of the tables run: GRANT TRIGGER ON \(tables) TO \(user); or set the quota as the owner. docs/errors/store_refused.md says more."
        )
    }

    /// Those who keep others from locking the tables, the longest first. Reading keeps nobody from it.
    private static let holders = SQL(
        """
        SELECT 'process ' || coalesce(locks.pid::text, 'of a prepared transaction')
            || coalesce(' (' || coalesce(nullif(activity.application_name, ''), activity.backend_type) || ')', '')
            || ' has ' || locks.mode || ' on ' || pg_class.relname::text
            || coalesce(', for ' || date_trunc('second', clock_timestamp() - activity.xact_start)::text, '')
        FROM pg_catalog.pg_locks AS locks JOIN pg_catalog.pg_class ON pg_class.oid = locks.relation
            JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
            LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = locks.pid
        WHERE nspname = '\(Schema.name)' AND relname IN ('runs', 'events', 'blobs') AND locks.granted
            AND locks.mode NOT IN ('AccessShareLock', 'RowShareLock') AND locks.pid IS DISTINCT FROM pg_backend_pid()
            AND locks.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        ORDER BY activity.xact_start NULLS LAST LIMIT 4
        """)

    static func users(_ session: Session) throws -> String {
        let found = try session.all(holders) { try $0.text(0) }
        return found.isEmpty ? "others had them in turn" : found.joined(separator: "; ")
    }

    // MARK: When they are not needed any more

    private static let isOwner = SQL(
        "SELECT 1 FROM pg_catalog.pg_class WHERE oid = 'perdure.runs'::regclass AND pg_has_role(relowner, 'USAGE')")
    private static let anyQuota = SQL("SELECT 1 FROM perdure.quotas LIMIT 1")
    /// A row that is not counted yet may become one of bytes.
    private static let anyQuotaOfBytes = SQL(
        "SELECT 1 FROM perdure.quotas WHERE max_payload IS NOT NULL OR NOT is_counted LIMIT 1")
    private static let forgetPayload = SQL("UPDATE perdure.quotas SET is_payload_counted = false WHERE is_payload_counted")

    /// Drops them if no quota needs them and the user may do it. Nobody may set quotas meanwhile. Whoever was about to count by them finds
    /// others, or none, when it is done, and begins anew.
    func dropUnneeded(_ session: Session) throws {
        guard try identity(session) != nil, try session.exists(Self.isOwner) else { return }
        switch self {
        case .runs:
            if try session.exists(Self.anyQuota) { return }
        case .values:
            if try session.exists(Self.anyQuotaOfBytes) { return }
            // What was counted so far is worth nothing without them. Before the tables are locked, as whoever starts runs does it.
            try session.execute(Self.forgetPayload)
        }
        try session.run(names.map { "DROP TRIGGER \($0.name) ON perdure.\($0.table)" }.joined(separator: "; "))
    }
}

/// Somebody has a table in use for longer than others are made to wait for it.
struct TablesInUse: Error {}
