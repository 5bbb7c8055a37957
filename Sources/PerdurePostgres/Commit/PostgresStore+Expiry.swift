internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let time = SQL("SELECT \(StoreClock.now("$1"))")
    // Whoever changes what is set for a namespace waits for this round, and rounds do not wait for each other.
    private static let hold = SQL("LOCK TABLE perdure.namespaces IN SHARE MODE")

    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try requireEngine("remove what has expired")
        guard try await retentionIndexes.areThere(self) else {
            // Without them each round would read every closed run. What waits for them stays for a little longer.
            if let trouble = retentionIndexes.trouble {
                throw .unavailable("the indexes for retention cannot be made, and nothing expires without them: \(trouble)")
            }
            var answer = Expiry(position: request.position)
            answer.isDone = true
            return answer
        }
        let time = options.clock?()
        return try await write { session in
            try session.execute(Self.hold)
            let now = try session.first(Self.time, time) { try $0.time(0) } ?? .epoch
            var ground = ExpiringSession(session: session, now: now)
            return try ExpiryWalk.run(request, now: now, on: &ground)
        }
    }

    private static let noteArchived = SQL(
        """
        UPDATE perdure.runs SET archived_at = \(StoreClock.now("$4")), archived_hash = $2::bytea, archive_digest = $3::bytea
        WHERE number = $1::bigint AND closed_at IS NOT NULL AND expired_at IS NULL
            AND $2::bytea = (SELECT hash FROM perdure.events WHERE run = $1::bigint ORDER BY seq DESC LIMIT 1)
        """)

    package func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try requireEngine("note what is archived")
        let time = options.clock?()
        // In one order, so that two that note the same runs do not wait for each other.
        let sorted = histories.sorted { $0.run < $1.run }
        return try await write { session in
            var noted: Set<Int64> = []
            for history in sorted {
                let count = try session.execute(
                    Self.noteArchived, history.run, Bytes(history.lastHash.bytes), Bytes(history.digest), time)
                if count > 0 { noted.insert(history.run) }
            }
            return noted
        }
    }
}
