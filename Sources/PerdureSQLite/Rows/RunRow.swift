internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension RunRecord {
    static let columns = """
        runs.number, runs.id, runs.namespace, runs.workflow, runs.version, runs.key, runs.input_digest, runs.salt, runs.state,
        runs.epoch, runs.owner, runs.wake_at, runs.created_at, runs.closed_at, runs.note,
        runs.expired_at, runs.last_seq, runs.last_hash, runs.origin, runs.origin_salt, runs.origin_digest, runs.successor,
        runs.queue, runs.is_admitted
        """
    static let columnCount: Int32 = 24

    /// Reads ``columns``, checking everything that the row claims.
    init(_ row: Statement, from column: Int32 = 0) throws(BadRow) {
        let number = try row.integer(column)
        do throws(BadRow) {
            let id = try row.text(column + 1)
            guard let runID = RunID(id) else { throw BadRow("its id '\(id)' is not a UUID") }
            let state = try row.text(column + 8)
            guard let state = RunState(rawValue: state) else { throw BadRow("its state '\(state)' is unknown") }
            self.init(
                number: number, id: runID, namespace: try row.text(column + 2), workflow: try row.text(column + 3),
                version: try row.text(column + 4), key: try row.optionalText(column + 5), inputDigest: try row.text(column + 6),
                salt: try row.bytes(column + 7), state: state, epoch: try row.integer(column + 9),
                owner: try row.optionalText(column + 10).map(NodeID.init(rawValue:)),
                wakeAt: try row.optionalInteger(column + 11).map(Timestamp.init(microseconds:)),
                createdAt: Timestamp(microseconds: try row.integer(column + 12)),
                closedAt: try row.optionalInteger(column + 13).map(Timestamp.init(microseconds:)),
                note: try row.optionalText(column + 14), tombstone: try Tombstone(row, column + 15),
                origin: try RunOrigin(row, column + 18),
                successor: try row.optionalText(column + 21).map { text throws(BadRow) in
                    guard let id = RunID(text) else { throw BadRow("the id '\(text)' of its successor is not a UUID") }
                    return id
                }, queue: try row.optionalInteger(column + 22), isAdmitted: try row.integer(column + 23) != 0)
        } catch {
            throw BadRow("run number \(number): \(error)")
        }
    }
}

extension RunOrigin {
    fileprivate init?(_ row: Statement, _ column: Int32) throws(BadRow) {
        guard let text = try row.optionalText(column) else { return nil }
        guard let id = RunID(text) else { throw BadRow("the id '\(text)' of its origin is not a UUID") }
        self.init(run: id, salt: try row.bytes(column + 1), inputDigest: try row.text(column + 2))
    }
}

extension Tombstone {
    fileprivate init?(_ row: Statement, _ column: Int32) throws(BadRow) {
        guard let expiredAt = try row.optionalInteger(column) else { return nil }
        self.init(
            expiredAt: Timestamp(microseconds: expiredAt), lastSeq: try row.integer(column + 1),
            lastHash: try EventHash(row, column + 2))
    }
}
