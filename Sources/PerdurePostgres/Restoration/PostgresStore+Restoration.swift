package import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    package func restoration() async throws(StoreError) -> Restoration? {
        try await read(on: browser) { try $0.lastRestoration() }
    }

    package func beginRestoration(by: String, reason: String) async throws(StoreError) -> Restoration {
        let time = options.clock?()
        let restoration = try await write { try $0.beginRestoration(by: by, reason: reason, time) }
        bell.ring(Channel.all)
        return restoration
    }

    package func markRestored(_ number: Int64, limit: Int, by: Principal) async throws(StoreError) -> Restoration {
        let time = options.clock?(), limit = max(1, min(limit, Restoration.mostAtOnce))
        let restoration = try await write { try $0.markRestored(number, limit: limit, by: by, time) }
        if !restoration.isStanding { bell.ring(Channel.all) }
        return restoration
    }
}

extension Session {
    private static let columns =
        "number, noticed_at, noticed_by, reason, last_run, marked_up_to, marked, lifted_at, lifted_by"
    private static let last = SQL("SELECT \(columns) FROM perdure.restorations ORDER BY number DESC LIMIT 1")
    private static let one = SQL("SELECT \(columns) FROM perdure.restorations WHERE number = $1::bigint FOR NO KEY UPDATE")
    private static let standing = SQL("SELECT \(columns) FROM perdure.restorations WHERE lifted_at IS NULL")
    /// One that somebody else writes down at the same moment is the same one.
    private static let begin = SQL(
        """
        INSERT INTO perdure.restorations (noticed_at, noticed_by, reason, last_run)
        SELECT \(StoreClock.now("$1")), $2::text, $3::text, coalesce((SELECT max(number) FROM perdure.runs), 0)
        ON CONFLICT ((lifted_at IS NULL)) WHERE lifted_at IS NULL DO NOTHING
        """)
    /// They learn of it by their leases, and what they still commit is refused.
    private static let endNodes = SQL("UPDATE perdure.nodes SET ended_at = \(StoreClock.now("$1")) WHERE ended_at IS NULL")
    private static let clock = SQL("SELECT \(StoreClock.now("$1"))")
    private static let states = RunState.restorable.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let open = SQL(
        """
        SELECT number FROM perdure.runs WHERE number > $1::bigint AND number <= $2::bigint AND state IN (\(states))
        ORDER BY number LIMIT $3::bigint
        """)
    private static let lock = SQL(
        "SELECT number FROM perdure.runs WHERE number = ANY($1::bigint[]) AND state IN (\(states)) ORDER BY number FOR NO KEY UPDATE"
    )
    private static let head = SQL(
        "SELECT runs.id::text, \(ChainHead.columns) FROM perdure.runs \(ChainHead.join) WHERE number = $1::bigint")
    private static let endApprovals = SQL(
        "DELETE FROM perdure.open_requests WHERE run = ANY($1::bigint[]) AND kind = 'approval.requested'")
    private static let progress = SQL(
        """
        UPDATE perdure.restorations SET marked_up_to = $2::bigint, marked = marked + $3::bigint, lifted_at = $4::bigint,
            lifted_by = $5::text
        WHERE number = $1::bigint
        """)

    func lastRestoration() throws -> Restoration? { try first(Self.last) { try Restoration($0) } }

    func beginRestoration(by: String, reason: String, _ time: Timestamp?) throws -> Restoration {
        let isNew = try execute(Self.begin, time, by.legible, reason.legible) == 1
        if isNew { try execute(Self.endNodes, time) }
        guard let restoration = try first(Self.standing, row: { try Restoration($0) }) else { throw Overtaken() }
        return restoration
    }

    /// Marks the next open runs, and lifts the hold when there are no more.
    func markRestored(_ number: Int64, limit: Int, by: Principal, _ time: Timestamp?) throws -> Restoration {
        guard var restoration = try first(Self.one, number, row: { try Restoration($0) }) else {
            throw StoreError.unusable(.usage, "There is no restoration number \(number).")
        }
        guard restoration.isStanding, let now = try first(Self.clock, time, row: { try $0.time(0) }) else { return restoration }
        let found = try all(Self.open, restoration.markedUpTo, restoration.lastRun, limit) { try $0.integer(0) }
        let locked = try all(Self.lock, found) { try $0.integer(0) }
        var events = EventColumns(), marked: [Int64] = []
        for run in locked {
            do {
                try mark(run, by: by, now: now, into: &events)
                marked.append(run)
            } catch let bad as BadRow {
                // As a claim would: nobody executes it, marked or not.
                try quarantine(run, reason: bad.description, now: now)
            }
        }
        if !marked.isEmpty {
            try pipeline { [events] pipe in
                try events.send(pipe)
                try pipe.execute(Self.endApprovals, marked)
            }
        }
        restoration.markedUpTo = found.last ?? restoration.lastRun
        restoration.marked += Int64(marked.count)
        if found.count < limit { (restoration.liftedAt, restoration.liftedBy) = (now, by) }
        try execute(
            Self.progress, number, restoration.markedUpTo, marked.count, restoration.liftedAt,
            restoration.liftedBy?.storedText)
        return restoration
    }

    private func mark(_ run: Int64, by: Principal, now: Timestamp, into events: inout EventColumns) throws {
        let found = try first(Self.head, run) { row in (id: try row.text(0), head: try ChainHead(row, from: 1, run: run)) }
        guard let found, var head = found.head else { throw BadRow("run number \(run) has no events") }
        let lost = LostPart(since: head.at, until: now, by: by)
        events.add(head.append(lost.event, run: found.id, now: now), run)
    }
}

extension Restoration {
    fileprivate init(_ row: Row) throws(BadRow) {
        let lifted = try row.optionalInteger(7).map(Timestamp.init(microseconds:))
        self.init(
            number: try row.integer(0), noticedAt: try row.time(1), noticedBy: try row.text(2), reason: try row.text(3),
            lastRun: try row.integer(4), markedUpTo: try row.integer(5), marked: try row.integer(6), liftedAt: lifted,
            liftedBy: try row.optionalText(8).flatMap { Principal(stored: $0) })
    }
}
