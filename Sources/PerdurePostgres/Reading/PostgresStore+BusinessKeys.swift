internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let holder = SQL(
        """
        SELECT \(BusinessKeyRow.columns) FROM perdure.business_keys
        WHERE namespace = $1::text AND step = $2::text AND key = $3::text
        """)
    /// The key cannot be settled before the waiter stands there.
    private static let lockedHolder = SQL(
        """
        SELECT \(BusinessKeyRow.columns) FROM perdure.business_keys
        WHERE namespace = $1::text AND step = $2::text AND key = $3::text FOR NO KEY UPDATE
        """)
    private static let insertWaiter = SQL(
        """
        INSERT INTO perdure.business_key_waiters (key, run, subject) VALUES ($1::bigint, $2::bigint, $3::text) ON CONFLICT DO NOTHING
        """)
    private static let awaited = SQL(
        """
        SELECT \(BusinessKeyRow.columns), waiters.subject
        FROM perdure.business_key_waiters AS waiters JOIN perdure.business_keys ON business_keys.number = waiters.key
        WHERE waiters.run = $1::bigint ORDER BY waiters.subject
        """)

    package func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        try await read(on: reader) { session in
            try session.first(Self.holder, key.namespace, key.step, key.key) { try BusinessKeyRow($0).record }
        }
    }

    package func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await write { session in
            if let row = try session.first(Self.lockedHolder, key.namespace, key.step, key.key, row: { try BusinessKeyRow($0) }) {
                guard row.record.outcome == .open else { return row.record }
                try session.execute(Self.insertWaiter, row.number, run, subject)
                return nil
            }
            // Never taken: the asker may take it, and would wait for ever.
            guard let id = try session.readableID(of: run) else { throw BadRow("run number \(run) does not exist") }
            return BusinessKeyRecord(key: key, generation: 1, holder: id, subject: subject, inputDigest: "", outcome: .free)
        }
    }

    package func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try await read(on: browser) { session in
            try session.all(Self.awaited, run) { row in
                BusinessKeyWait(subject: try row.text(BusinessKeyRow.columnCount), record: try BusinessKeyRow(row).record)
            }
        }
    }
}
