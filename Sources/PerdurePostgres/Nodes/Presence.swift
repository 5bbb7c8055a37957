internal import PerdureHistory
internal import PerdureStore

/// What a node has to know before it changes a run: asked in the transaction that does it.
struct Presence {
    let now: Timestamp
    let isAlive: Bool
    /// The restoration that stands, if one does: nothing is begun until it is lifted.
    let standing: Int64?
    /// The last restoration that was lifted; 0 if there is none.
    let lifted: Int64
    /// Other living nodes that have not looked yet whether this server has all that they were told is durable.
    let awaited: [NodeID]
    /// Whether any namespace has quotas.
    let hasQuotas: Bool

    /// Holds the row of the node, which may be ended meanwhile, but not forgotten. All of it is one look: a node that notices a loss is
    /// ended with all others in the transaction that says so, so that nobody finds it neither missing nor held.
    static let ask = SQL("SELECT \(columns)")
    /// The first value of a statement is the store's time, where it is not the server's, and the second one the node.
    static let columns = """
        \(StoreClock.now("$1")) AS now,
        EXISTS (SELECT 1 FROM perdure.nodes WHERE id = $2::text AND ended_at IS NULL FOR KEY SHARE) AS is_alive,
        (SELECT max(number) FROM perdure.restorations WHERE lifted_at IS NULL) AS standing,
        (SELECT max(number) FROM perdure.restorations WHERE lifted_at IS NOT NULL) AS lifted,
        \(awaited) AS awaited,
        EXISTS (SELECT 1 FROM perdure.quotas) AS has_quotas
        """
    static let columnCount: Int32 = 6

    init(_ row: Row) throws(BadRow) {
        now = try row.time(0)
        isAlive = try row.bool(1)
        standing = try row.optionalInteger(2)
        lifted = try row.optionalInteger(3) ?? 0
        awaited = try Self.nodes(row, 4)
        hasQuotas = try row.bool(5)
    }

    var isHeld: Bool { standing != nil }

    /// Those that are waited for. Said as ranges, so that the index over living nodes shows at once that there are none.
    private static let awaited = """
        (SELECT string_agg(id, chr(10) ORDER BY id) FROM perdure.nodes
            WHERE ended_at IS NULL AND (server < \(Recollection.serverStart) OR server > \(Recollection.serverStart)))
        """
    /// The same alone, for who begins work that is to be committed later. Nothing is held.
    static let askForAwaited = SQL("SELECT \(awaited)")

    static func nodes(_ row: Row, _ column: Int32) throws(BadRow) -> [NodeID] {
        (try row.optionalText(column) ?? "").split(separator: "\n").map { NodeID(rawValue: String($0)) }
    }

    /// Only what all living nodes have found whole is gone on with: what one of them has had confirmed and lost, another one would do
    /// again.
    static func require(_ awaited: [NodeID]) throws(StoreError) {
        if !awaited.isEmpty { throw .awaitsNodes(awaited) }
    }
}
