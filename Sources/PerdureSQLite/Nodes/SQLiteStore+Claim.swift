internal import Perdure
internal import PerdureHistory
package import PerdureStore
internal import Synchronization

extension SQLiteStore {
    package func claim(_ request: ClaimRequest) async throws(StoreError) -> [ClaimedRun] {
        try requireEngine("claim runs")
        guard request.node == node else {
            throw .unusable(.usage, "The node \(request.node) is not registered, so it cannot claim runs.")
        }
        guard request.limit > 0 else { return [] }
        let now = now()
        let claims = try await write { session in
            // A claim whose answer was lost owns its runs all the same: its repeat gets them, or nobody ever would.
            let lost = try self.unanswered.withLock { claims in try claims.filter { try session.isStill($0) } }
            if !lost.isEmpty { return lost }
            let candidates = try ClaimCandidates(request: request, now: now).find(session)
            let claims = try candidates.compactMap { try session.claim($0, request, now: now) }
            self.unanswered.withLock { $0 = claims }
            return claims
        }
        unanswered.withLock { $0 = [] }
        return claims
    }
}

extension Session {
    /// Whether nothing has happened to the run since the claim.
    fileprivate func isStill(_ claim: ClaimedRun) throws -> Bool {
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
    fileprivate func claim(_ number: Int64, _ request: ClaimRequest, now: Timestamp) throws -> ClaimedRun? {
        do throws(any Error) {
            guard var record = try run(number) else { return nil }
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
                let draft = EventDraft(
                    .runResumed,
                    attributes: .make(
                        ("build", .string(request.build)), ("clean", .bool(false)), ("node", .string(request.node.rawValue))))
                try append([head.append(draft, run: record.id.description, now: now)], to: number)
            }
            return ClaimedRun(
                record: record, previous: before.state, previousWakeAt: before.wakeAt, previousNote: before.note, head: head,
                isTakeover: isTakeover)
        } catch let bad as BadRow {
            try quarantine(number, reason: bad.description, now: now)
            return nil
        }
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
        try dropWake(of: run)
    }
}
