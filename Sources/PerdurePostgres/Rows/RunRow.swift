internal import Perdure
internal import PerdureHistory
internal import PerdureStore

extension RunRecord {
    static let columns = """
        runs.number, runs.id::text, runs.namespace, runs.workflow, runs.version, runs.key, runs.input_digest, runs.salt, runs.state,
        runs.epoch, runs.owner, runs.wake_at, runs.created_at, runs.closed_at, runs.note,
        runs.expired_at, runs.last_seq, runs.last_hash, runs.origin::text, runs.origin_salt, runs.origin_digest, runs.successor::text,
        runs.queue, runs.is_admitted
        """
    static let columnCount: Int32 = 24

    /// Reads ``columns``, checking everything that the row claims.
    init(_ row: Row, from column: Int32 = 0) throws(BadRow) {
        let number = try row.integer(column)
        do throws(BadRow) {
            let state = try row.text(column + 8)
            guard let state = RunState(rawValue: state) else { throw BadRow("its state '\(state)' is unknown") }
            self.init(
                number: number, id: try row.runID(column + 1), namespace: try row.text(column + 2),
                workflow: try row.text(column + 3),
                version: try row.text(column + 4), key: try row.optionalText(column + 5), inputDigest: try row.text(column + 6),
                salt: try row.bytes(column + 7), state: state, epoch: try row.integer(column + 9),
                owner: try row.optionalText(column + 10).map(NodeID.init(rawValue:)),
                wakeAt: try row.optionalTime(column + 11), createdAt: try row.time(column + 12),
                closedAt: try row.optionalTime(column + 13), note: try row.optionalText(column + 14),
                tombstone: try Tombstone(row, column + 15), origin: try RunOrigin(row, column + 18),
                successor: row.isNull(column + 21) ? nil : try row.runID(column + 21),
                queue: try row.optionalInteger(column + 22), isAdmitted: try row.bool(column + 23))
        } catch {
            throw BadRow("run number \(number): \(error)")
        }
    }
}

extension RunOrigin {
    fileprivate init?(_ row: Row, _ column: Int32) throws(BadRow) {
        if row.isNull(column) { return nil }
        self.init(run: try row.runID(column), salt: try row.bytes(column + 1), inputDigest: try row.text(column + 2))
    }
}

extension Tombstone {
    fileprivate init?(_ row: Row, _ column: Int32) throws(BadRow) {
        guard let expiredAt = try row.optionalTime(column) else { return nil }
        self.init(expiredAt: expiredAt, lastSeq: try row.integer(column + 1), lastHash: try row.hash(column + 2))
    }
}

extension ChainHead {
    static let columns = "head.seq, head.at, head.hash"
    /// The last event of `runs.number`.
    static let join = """
        LEFT JOIN LATERAL (
            SELECT seq, at, hash FROM perdure.events WHERE events.run = runs.number ORDER BY seq DESC LIMIT 1) AS head ON true
        """

    /// Reads ``columns``; nil if the run has no events.
    init?(_ row: Row, from column: Int32, run: Int64) throws(BadRow) {
        guard let seq = try row.optionalInteger(column) else { return nil }
        do throws(BadRow) {
            self.init(seq: seq, at: try row.time(column + 1), hash: try row.hash(column + 2))
        } catch {
            throw BadRow("event \(seq) of run number \(run): \(error)")
        }
    }
}

extension Row {
    func runID(_ column: Int32) throws(BadRow) -> RunID {
        let text = try text(column)
        guard let id = RunID(text) else { throw BadRow("'\(text)' is not the id of a run") }
        return id
    }

    func time(_ column: Int32) throws(BadRow) -> Timestamp { Timestamp(microseconds: try integer(column)) }

    func optionalTime(_ column: Int32) throws(BadRow) -> Timestamp? {
        try optionalInteger(column).map(Timestamp.init(microseconds:))
    }

    func hash(_ column: Int32) throws(BadRow) -> EventHash {
        guard let hash = try withBytes(column, { EventHash($0) }) else { throw BadRow("a hash is not 32 bytes long") }
        return hash
    }

    func state(_ column: Int32) throws(BadRow) -> RunState {
        let name = try text(column)
        guard let state = RunState(rawValue: name) else { throw BadRow("the state '\(name)' of a run is unknown") }
        return state
    }
}
