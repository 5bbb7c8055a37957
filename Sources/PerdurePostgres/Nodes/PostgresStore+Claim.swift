internal import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension PostgresStore {
    package func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        try requireEngine("claim runs")
        guard request.node == node else {
            throw .unusable(.usage, "The node \(request.node) is not registered, so it cannot claim runs.")
        }
        guard request.limit > 0 else { return Claimed() }
        let time = options.clock?(), recollection = recollection
        let claims = try await writer.perform { session in
            let (claims, present) = try session.untilNotOvertaken {
                try session.transaction { try self.claim(request, time, session) }
            }
            recollection.note(restoration: max(present.standing ?? 0, present.lifted))
            for run in claims.runs where run.isTakeover {
                recollection.note(run.head, of: run.record.number, from: .writer, present.lifted)
            }
            return claims
        }
        unanswered.withLock { $0 = Claimed() }
        if !claims.setAside.isEmpty { tellOfPlaces() }
        return claims
    }

    private func claim(_ request: ClaimRequest, _ time: Timestamp?, _ session: Session) throws -> (Claimed, Presence) {
        let present = try session.first(Presence.ask, time, request.node) { try Presence($0) }
        guard let present, present.isAlive else { throw StoreError.leaseLost }
        if present.isHeld { return (Claimed(isHeld: true), present) }
        try Presence.require(present.awaited)
        // A claim whose answer was lost owns its runs all the same: its repeat gets them, or nobody ever would.
        var claims = try session.whatStillHolds(of: unanswered.withLock { $0 })
        if !claims.runs.isEmpty { return (claims, present) }
        let candidates = ClaimCandidates(request: request, now: present.now)
        // Other nodes may have been faster with all that was found; then there may be more behind it.
        var tried: Set<Int64> = []
        for _ in 0..<Self.looks {
            let found = try candidates.find(besides: tried, session)
            if found.isEmpty { break }
            let now = try session.claim(found.prefix(request.limit), request, now: present.now, into: &claims)
            tried.formUnion(now)
            if claims.runs.count == request.limit || found.count < request.limit && now.count == found.count { break }
        }
        unanswered.withLock { [claims] in $0 = claims }
        return (claims, present)
    }

    private static let looks = 3
}

/// A run that is locked and may be claimed.
private struct Claimable {
    let record: RunRecord
    let head: ChainHead
}

extension Session {
    private static let isQuarantined = SQL("SELECT 1 FROM perdure.runs WHERE number = $1::bigint AND state = 'quarantined'")

    fileprivate func whatStillHolds(of claimed: Claimed) throws -> Claimed {
        if claimed.runs.isEmpty, claimed.setAside.isEmpty { return claimed }
        // The transaction whose answer was lost may still be about to commit: this waits for it.
        _ = try all(Self.lockAll, claimed.runs.map(\.record.number) + claimed.setAside.map(\.number)) { _ in }
        return Claimed(
            runs: try claimed.runs.filter { try isStill($0) },
            setAside: try claimed.setAside.filter { try exists(Self.isQuarantined, $0.number) })
    }

    /// Whether nothing has happened to the run since the claim.
    private func isStill(_ claim: ClaimedRun) throws -> Bool {
        try run(claim.record.number) == claim.record && head(of: claim.record.number) == claim.head
    }

    private static let lockAll = SQL(
        "SELECT 1 FROM perdure.runs WHERE number = ANY($1::bigint[]) ORDER BY number FOR NO KEY UPDATE")
    /// What another node is just claiming or changing is left to it. Nothing is waited for, so that no order is needed.
    private static let lock = SQL(
        """
        SELECT runs.number FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (number, place) JOIN perdure.runs USING (number)
        ORDER BY wanted.place LIMIT $2::bigint FOR NO KEY UPDATE OF runs SKIP LOCKED
        """)
    /// Those of the runs that still have something to do for this node, now that nobody else can change them. They are not joined to a
    /// list: the server would take a condition on owners for a cheap one, and go through all runs by it.
    static let claimable = SQL(
        """
        SELECT \(RunRecord.columns), \(ChainHead.columns)
        FROM perdure.runs \(ChainHead.join) LEFT JOIN perdure.wakes ON wakes.run = runs.number
            CROSS JOIN LATERAL (
                SELECT runs.owner IS NULL OR runs.owner IN (SELECT id FROM perdure.nodes WHERE ended_at IS NOT NULL) AS unattended
            ) AS owner
        WHERE runs.number = ANY($1::bigint[]) AND owner.unattended AND (
            wakes.anyone_at IS NOT NULL
            OR (runs.workflow, runs.version) IN (SELECT * FROM unnest($2::text[], $3::text[])) AND (
                runs.state = 'ready' OR runs.state = 'running' OR runs.owner IS NOT NULL
                OR runs.wake_at <= CASE runs.state WHEN 'queued' THEN $6::bigint ELSE $4::bigint END
                OR wakes.host_at IS NOT NULL
                OR runs.state = 'blocked'
                    AND NOT EXISTS (SELECT 1 FROM perdure.blocked_builds WHERE run = runs.number AND build = $5::text)))
        """)
    private static let own = SQL(
        """
        UPDATE perdure.runs SET state = CASE state WHEN 'terminated' THEN state ELSE 'running' END, owner = $2::text,
            epoch = epoch + 1, wake_at = NULL, note = NULL, needs_retry = false, since = $3::bigint
        WHERE number = ANY($1::bigint[])
        """)
    private static let dropWakes = SQL("DELETE FROM perdure.wakes WHERE run = ANY($1::bigint[])")
    private static let withoutCode = InboxKind.allCases.filter(\.needsNoCode).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    /// What needs no code wakes anyone once an owner has died. To cancel a run that was not admitted needs none.
    private static let renewWakes = SQL(
        """
        INSERT INTO perdure.wakes (run, workflow, version, anyone_at)
        SELECT runs.number, runs.workflow, runs.version, min(inbox.at)
        FROM perdure.inbox JOIN perdure.runs ON runs.number = inbox.run
        WHERE inbox.run = ANY($1::bigint[]) AND NOT inbox.consumed
            AND (inbox.kind = 'resolve' OR runs.state = 'running' AND inbox.kind IN (\(withoutCode))
                OR inbox.kind = 'cancel' AND NOT runs.is_admitted)
        GROUP BY runs.number
        """)

    /// Makes the node the owner of those that it may have. A run whose row or last event cannot be read is set aside instead, or it would
    /// stop every claim.
    ///
    /// - Returns: the candidates up to the last for which there was room. What another node holds takes none.
    fileprivate func claim(
        _ candidates: ArraySlice<Int64>, _ request: ClaimRequest, now: Timestamp, into claimed: inout Claimed
    ) throws -> ArraySlice<Int64> {
        let room = request.limit - claimed.runs.count
        let locked = try all(Self.lock, Array(candidates), room) { try $0.integer(0) }
        let last = locked.count == room ? candidates.firstIndex { $0 == locked.last } : nil
        let tried = last.map { candidates[...$0] } ?? candidates
        var found: [Int64: Result<Claimable, BadRow>] = [:]
        _ = try all(
            Self.claimable, locked, request.hosted.map(\.workflow), request.hosted.map(\.version), now + request.ahead,
            request.build, now
        ) { row in
            found[try row.integer(0)] = Result { () throws(BadRow) in try Claimable(row) }
        }
        var runs: [Claimable] = []
        for number in locked {
            switch found[number] {
            case .success(let run): runs.append(run)
            case .failure(let bad):
                try quarantine(number, reason: bad.description, now: now)
                claimed.setAside.append(BrokenRun(number: number, id: try readableID(of: number), reason: bad.description))
            case nil: break
            }
        }
        let owned = runs.map(\.record.number)
        var events = EventColumns()
        for run in runs { claimed.runs.append(run.claimed(request, now: now, &events)) }
        if owned.isEmpty { return tried }
        try pipeline { [events] pipe in
            try pipe.execute(Self.own, owned, request.node, now)
            try pipe.execute(Self.dropWakes, owned)
            try pipe.execute(Self.renewWakes, owned)
            try events.send(pipe)
        }
        return tried
    }

    private static let markQuarantined = SQL(
        """
        UPDATE perdure.runs SET state = 'quarantined', owner = NULL, wake_at = NULL, needs_retry = false, note = $2::text,
            since = $3::bigint
        WHERE number = $1::bigint
        """)

    func quarantine(_ run: Int64, reason: String, now: Timestamp) throws {
        try execute(Self.markQuarantined, run, reason.legible, now)
        try execute(Self.dropWakes, [run])
        // It never ends, and would hold its place for ever.
        try execute(PlaceColumns.leave, [run])
    }
}

extension Claimable {
    init(_ row: Row) throws(BadRow) {
        record = try RunRecord(row)
        guard let head = try ChainHead(row, from: RunRecord.columnCount, run: record.number) else {
            throw BadRow("run number \(record.number) has no events")
        }
        self.head = head
    }

    /// The run as it is after the claim, which of a dead owner's run is in its history.
    func claimed(_ request: ClaimRequest, now: Timestamp, _ events: inout EventColumns) -> ClaimedRun {
        var owned = record, head = head
        if record.state != .terminated { owned.state = .running }
        owned.owner = request.node
        owned.epoch += 1
        owned.wakeAt = nil
        owned.note = nil
        let isTakeover = record.state == .running
        if isTakeover {
            events.add(head.append(request.takeover, run: record.id.description, now: now), record.number)
        }
        return ClaimedRun(
            record: owned, previous: record.state, previousWakeAt: record.wakeAt, previousNote: record.note, head: head,
            isTakeover: isTakeover)
    }
}
