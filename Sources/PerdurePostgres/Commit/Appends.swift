internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// Those advances of a commit that do nothing but append to histories, as most of those of steps do. Whether one may be written is asked by
/// the statement that writes it, so that a commit of nothing else takes one round trip.
///
/// The runs have to be locked by a statement before: this one then sees all that was written by whoever held them.
struct Appends {
    /// By the places of their advances among the items of the commit.
    private(set) var runs: [Int: Int64] = [:]
    private(set) var numbers: [Int64] = []
    private var epochs: [Int64] = []
    private var heads: [Int64] = []
    private var hashes: [Bytes] = []
    private var events = EventColumns()
    private var beats: [CommitWrites.StepPlace] = []

    var isEmpty: Bool { runs.isEmpty }

    /// None: every advance is decided by the facts of its run.
    init() {}

    /// Leaves out runs of which the commit has more than one item: what is written of the one depends on the other then.
    init(among items: ArraySlice<CommitItem>) {
        var counts: [Int64: Int] = [:]
        for item in items {
            switch item {
            case .advance(let advance): counts[advance.run, default: 0] += 1
            case .beat(let heartbeat): counts[heartbeat.run, default: 0] += 1
            case .create, .deliver, .schedule: break
            }
        }
        for (place, item) in zip(items.indices, items) {
            guard case .advance(let advance) = item, counts[advance.run] == 1, advance.onlyAppends else { continue }
            runs[place] = advance.run
            add(advance)
        }
    }

    private mutating func add(_ advance: RunAdvance) {
        numbers.append(advance.run)
        epochs.append(advance.epoch)
        heads.append(advance.head.seq)
        hashes.append(Bytes(advance.head.hash.bytes))
        for event in advance.events {
            events.add(event, advance.run)
            if case .endOfBeat(let isUndo) = event.view {
                beats.append(CommitWrites.StepPlace(run: advance.run, subject: event.subject, isUndo: isUndo))
            }
        }
    }

    /// A run's row and its last event are looked up for one run after the other, however large the server takes the tables to be.
    static let write = SQL(
        """
        WITH presence AS MATERIALIZED (SELECT \(Presence.columns)), open AS MATERIALIZED (
            SELECT wanted.run FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) AS wanted (run, epoch, seq, hash)
                CROSS JOIN LATERAL (
                    SELECT owner, epoch, closed_at FROM perdure.runs WHERE runs.number = wanted.run OFFSET 0) AS runs
                CROSS JOIN LATERAL (
                    SELECT seq, hash FROM perdure.events WHERE events.run = wanted.run ORDER BY seq DESC LIMIT 1) AS head
            WHERE (SELECT is_alive AND awaited IS NULL FROM presence) AND runs.owner = $2::text AND runs.epoch = wanted.epoch
                AND runs.closed_at IS NULL AND head.seq = wanted.seq AND head.hash = wanted.hash
        ), written AS (
            INSERT INTO perdure.events (\(EventColumns.names))
            SELECT \(EventColumns.names) FROM \(EventColumns.rows(from: 7)) WHERE run IN (SELECT run FROM open)
        ), ended AS (
            DELETE FROM perdure.heartbeats USING unnest($20::bigint[], $21::text[], $22::boolean[]) AS ended (run, subject, is_undo)
            WHERE ended.run IN (SELECT run FROM open) AND heartbeats.run = ended.run AND heartbeats.subject = ended.subject
                AND heartbeats.is_undo = ended.is_undo
        )
        SELECT presence.*, shut.run FROM presence LEFT JOIN (
            SELECT unnest($3::bigint[]) AS run EXCEPT SELECT run FROM open) AS shut ON true
        """)

    /// - Parameters:
    ///   - found: gets what was found of the node, at least once.
    ///   - shut: gets the runs on which their advances do not stand, or no longer: nothing was written of these.
    func send(
        _ pipe: Pipeline, _ node: NodeID?, _ time: Timestamp?, found: @escaping (Presence) throws -> Void,
        shut: @escaping (Int64) -> Void
    ) throws {
        try pipe.all(
            Self.write, time, node, numbers, epochs, heads, hashes,
            events.run, events.seq, events.at, events.kind, events.subject, events.attributes, events.input, events.inputSize,
            events.output, events.outputSize, events.codec, events.keyID, events.hash,
            beats.map(\.run), beats.map(\.subject), beats.map(\.isUndo)
        ) { row in
            try found(try Presence(row))
            if let run = try row.optionalInteger(Presence.columnCount) { shut(run) }
        }
    }
}

extension RunAdvance {
    /// Whether nothing but its run's history changes, and what hangs on the events themselves.
    fileprivate var onlyAppends: Bool {
        guard transition == nil, consumed.isEmpty, takes.isEmpty, settles.isEmpty, children.isEmpty, deliveries.isEmpty,
            successor == nil, let first = events.first
        else { return false }
        return first.seq == head.seq + 1 && CommitGroup.areInSequence(events) && events.allSatisfy(\.isOnlyAppended)
    }
}

extension Event {
    /// Whether it is a row of its own and at most the end of a heartbeat.
    fileprivate var isOnlyAppended: Bool {
        switch view {
        case .none, .endOfBeat: break
        case .request, .endOfRequest, .endOfBeats, .labels: return false
        }
        return !kind.isMarked && ![input, output].contains { $0?.isLarge ?? false }
    }
}
