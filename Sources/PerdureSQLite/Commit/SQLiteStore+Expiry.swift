internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    package func expire(_ request: ExpiryRequest) async throws(StoreError) -> Expiry {
        try requireEngine("remove what has expired")
        let now = now()
        return try await write { session in
            var ground = ExpiringSession(session: session)
            return try ExpiryWalk.run(request, now: now, on: &ground)
        }
    }

    private static let noteArchived = SQL(
        """
        UPDATE runs SET archived_at = ?2, archived_hash = ?3, archive_digest = ?4
        WHERE number = ?1 AND closed_at IS NOT NULL AND expired_at IS NULL
            AND ?3 = (SELECT hash FROM events WHERE run = ?1 ORDER BY seq DESC LIMIT 1)
        """)

    package func noteArchived(_ histories: [ArchivedHistory]) async throws(StoreError) -> Set<Int64> {
        try requireEngine("note what is archived")
        let now = now()
        return try await write { session in
            var noted: Set<Int64> = []
            for history in histories {
                let count = try session.execute(Self.noteArchived, history.run, now, history.lastHash.bytes, history.digest)
                if count > 0 { noted.insert(history.run) }
            }
            return noted
        }
    }
}
