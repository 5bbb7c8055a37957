internal import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension SQLiteStore {
    package func claim(_ request: ClaimRequest) async throws(StoreError) -> Claimed {
        try requireEngine("claim runs")
        guard request.node == node else {
            throw .unusable(.usage, "The node \(request.node) is not registered, so it cannot claim runs.")
        }
        guard request.limit > 0 else { return Claimed() }
        let now = now()
        let claims = try await write { session in
            if try session.isHeld { return Claimed(isHeld: true) }
            // A claim whose answer was lost owns its runs all the same: its repeat gets them, or nobody ever would.
            var claims = try self.unanswered.withLock { try session.whatStillHolds(of: $0) }
            if !claims.runs.isEmpty { return claims }
            for candidate in try ClaimCandidates(request: request, now: now).find(session) {
                try session.claim(candidate, request, now: now, into: &claims)
            }
            self.unanswered.withLock { [claims] in $0 = claims }
            return claims
        }
        unanswered.withLock { $0 = Claimed() }
        return claims
    }
}

extension Session {
    fileprivate func whatStillHolds(of claimed: Claimed) throws -> Claimed {
        Claimed(
            runs: try claimed.runs.filter { try isStill($0) },
            setAside: try claimed.setAside.filter { try exists(Self.isQuarantined, $0.number) })
    }

    private static let isQuarantined = SQL("SELECT 1 FROM runs WHERE number = ?1 AND state = 'quarantined'")

    /// Whether nothing has happened to the run since the claim.
    private func isStill(_ claim: ClaimedRun) throws -> Bool {
        try run(claim.record.number) == claim.record && head(of: claim.record.number) == claim.head
    }

    private static let lastEvent = SQL("SELECT seq, at, hash FROM events WHERE run = ?1 ORDER BY seq DESC LIMIT 1")
    private static let own = SQL(
        """
        UPDATE runs SET state = CASE state WHEN 'terminated' THEN state ELSE 'running' END, owner = ?2, epoch = epoch + 1,
            wake_at = NULL, note = NULL, needs_retry = 0, since = ?3
        WHERE number = ?1
        """)
    private static let markQuarantined = SQL(
        "UPDATE runs SET state = 'quarantined', owner = NULL, wake_at = NULL, needs_retry = 0, note = ?2, since = ?3 WHERE number = ?1"
    )

    /// Makes the node the owner. A run whose row or last event cannot be read is set aside instead, or it would stop every claim.
    fileprivate func claim(_ number: Int64, _ request: ClaimRequest, now: Timestamp, into claimed: inout Claimed) throws {
        do throws(any Error) {
            guard var record = try run(number) else { return }
            guard var head = try head(of: number) else { throw BadRow("run number \(number) has no events") }
            let before = record
            try execute(Self.own, number, request.node, now)
            try renewWake(of: number)
            if before.state != .terminated { record.state = .running }
            record.owner = request.node
            record.epoch += 1
            record.wakeAt = nil
            record.note = nil
            let isTakeover = before.state == .running
            if isTakeover {
                try append([head.append(request.takeover, run: record.id.description, now: now)], to: number)
            }
            claimed.runs.append(
                ClaimedRun(
                    record: record, previous: before.state, previousWakeAt: before.wakeAt, previousNote: before.note, head: head,
                    isTakeover: isTakeover))
        } catch let bad as BadRow {
            try setAside(number, bad.description, now: now, into: &claimed)
        } catch let failure as SQLFailure where failure.isAboutData {
            try setAside(number, failure.description, now: now, into: &claimed)
        }
    }

    private func setAside(_ number: Int64, _ reason: String, now: Timestamp, into claimed: inout Claimed) throws {
        do {
            try quarantine(number, reason: reason, now: now)
        } catch let failure as SQLFailure where failure.isAboutData {
            // The row breaks a rule of the schema and takes no change, so that nobody can own it: it is passed over.
            return
        }
        claimed.setAside.append(BrokenRun(number: number, id: try readableID(of: number), reason: reason))
    }

    func head(of run: Int64) throws -> ChainHead? {
        try first(Self.lastEvent, run) { row in
            let seq = try row.integer(0)
            do throws(BadRow) {
                return ChainHead(seq: seq, at: Timestamp(microseconds: try row.integer(1)), hash: try EventHash(row, 2))
            } catch {
                throw BadRow("event \(seq) of run number \(run): \(error)")
            }
        }
    }

    func quarantine(_ run: Int64, reason: String, now: Timestamp) throws {
        try execute(Self.markQuarantined, run, reason.legible, now)
        // It never ends, and would hold its place for ever.
        try leave(run)
        try dropWake(of: run)
    }
}
