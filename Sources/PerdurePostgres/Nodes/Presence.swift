internal import PerdureHistory
internal import PerdureStore

/// What a node has to know before it changes a run: asked in the transaction that does it.
struct Presence {
    let now: Timestamp
    let isAlive: Bool
    /// History went back: nothing is begun until it is recovered.
    let isHeld: Bool
    /// Another living node has not looked yet whether this server has all that it was told is durable.
    let isAwaited: Bool
    /// Whether any namespace has quotas.
    let hasQuotas: Bool

    /// Holds the row of the node, which may be ended meanwhile, but not forgotten. All of it is one look: a node that notices a loss is ended
    /// with all others in the transaction that says so, so that nobody finds it neither missing nor held.
    static let ask = SQL(
        """
        SELECT \(StoreClock.now("$1")), EXISTS (
                SELECT 1 FROM perdure.nodes WHERE id = $2::text AND ended_at IS NULL FOR KEY SHARE),
            EXISTS (SELECT 1 FROM perdure.restorations WHERE lifted_at IS NULL),
            EXISTS (SELECT 1 FROM perdure.nodes WHERE ended_at IS NULL AND server <> \(Recollection.serverStart)),
            EXISTS (SELECT 1 FROM perdure.quotas)
        """)

    init(_ row: Row) throws(BadRow) {
        now = try row.time(0)
        isAlive = try row.bool(1)
        isHeld = try row.bool(2)
        isAwaited = try row.bool(3)
        hasQuotas = try row.bool(4)
    }

    /// Only what all living nodes have found whole is gone on with: what one of them has had confirmed and lost, another one would do again.
    func requireAll() throws(StoreError) {
        guard isAwaited else { return }
        throw .unavailable(
            "the server has started or changed; other nodes have not looked yet whether it has all of their commits")
    }
}
