internal import Perdure
internal import PerdureHistory
package import PerdureStore

// On the connection for leases, so that a circuit opens and closes whatever commits wait for. Each change is one statement: it holds no
// lock while an answer is on its way.
extension PostgresStore {
    private static let all = SQL(
        "SELECT \(CircuitRow.columns) FROM perdure.circuits WHERE namespace = $1::text ORDER BY resource")
    private static let one = SQL(
        "SELECT \(CircuitRow.columns) FROM perdure.circuits WHERE namespace = $1::text AND resource = $2::text")
    private static let insert = SQL(
        """
        INSERT INTO perdure.circuits (namespace, resource, stamp, until, pause, prober, changed_at)
        VALUES ($1::text, $2::text, $3::bigint, $4::bigint, $5::bigint, $6::text, $7::bigint) ON CONFLICT DO NOTHING
        """)
    private static let update = SQL(
        """
        UPDATE perdure.circuits SET stamp = $3::bigint, until = $4::bigint, pause = $5::bigint, prober = $6::text,
            changed_at = $7::bigint
        WHERE namespace = $1::text AND resource = $2::text AND stamp = $8::bigint
        """)
    private static let delete = SQL(
        "DELETE FROM perdure.circuits WHERE namespace = $1::text AND resource = $2::text AND stamp = $3::bigint")

    package func circuits(namespace: String) async throws(StoreError) -> [CircuitRow] {
        try await read(on: leases) { session in try session.all(Self.all, namespace) { try CircuitRow($0) } }
    }

    package func setCircuit(_ change: CircuitChange) async throws(StoreError) -> CircuitAnswer {
        if let flaw = change.flaw { throw .unusable(.nameInvalid, "This cannot be a circuit: \(flaw).") }
        try requireEngine("change circuits")
        let answer = try await leases.perform { session -> CircuitAnswer in
            if try Self.make(change, session) { return .made }
            let key = change.key
            let current = try session.first(Self.one, key.namespace, key.resource) { try CircuitRow($0) }
            return change.isOpen(on: current) == nil ? .made : .refused(current)
        }
        if answer == .made { bell.ring(Channel.all) }
        return answer
    }

    /// Returns whether what the change stands on was there.
    private static func make(_ change: CircuitChange, _ session: Session) throws -> Bool {
        let key = change.key
        guard let row = change.row else {
            guard let expected = change.expected else { return false }
            return try session.execute(delete, key.namespace, key.resource, expected) > 0
        }
        guard let expected = change.expected else {
            return try session.execute(
                insert, key.namespace, key.resource, row.stamp, row.until, row.pause.microseconds, row.prober, row.changedAt) > 0
        }
        return try session.execute(
            update, key.namespace, key.resource, row.stamp, row.until, row.pause.microseconds, row.prober, row.changedAt,
            expected) > 0
    }
}

extension CircuitRow {
    static let columns = "namespace, resource, stamp, until, pause, prober, changed_at"

    init(_ row: Row) throws(BadRow) {
        self.init(
            CircuitKey(namespace: try row.text(0), resource: try row.text(1)), stamp: try row.integer(2), until: try row.time(3),
            pause: .microseconds(try row.integer(4)), prober: try row.optionalText(5).map { NodeID(rawValue: $0) },
            changedAt: try row.time(6))
    }
}
