internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// The place of a run that is not admitted, as its locked row keeps it.
struct PlaceFacts {
    let queue: Int64
    let key: String
    let deadline: Timestamp?
    var isInLine: Bool
}

/// What a commit does to places. It locks no row of a queue: what it changes of a queue's numbers it appends, for whoever admits next.
struct PlaceColumns {
    private(set) var entered: [Entry] = []
    private(set) var left: [Int64] = []
    private(set) var moved: [Int64: Bool] = [:]
    private(set) var inherited: [(from: Int64, to: Int64)] = []
    private(set) var changes: [Key: Change] = [:]

    struct Entry { let run: Int64, queue: Int64, place: QueuePlace, deadline: Timestamp? }
    struct Key: Hashable { let queue: Int64, key: String }
    struct Change {
        /// Keys that come first are to have their turns first.
        let order: Int
        var waiting: Int64
    }

    var isEmpty: Bool { entered.isEmpty && left.isEmpty && moved.isEmpty && inherited.isEmpty && changes.isEmpty }

    mutating func enter(_ run: Int64, _ queue: Int64, _ place: QueuePlace, deadline: Timestamp?) {
        entered.append(Entry(run: run, queue: queue, place: place, deadline: deadline))
        change(Key(queue: queue, key: place.key), waiting: 1)
    }

    mutating func leave(_ run: Int64) { left.append(run) }

    mutating func inherit(from run: Int64, to successor: Int64) { inherited.append((run, successor)) }

    /// To come back to the line is a cause to look at the queue, also if nothing is to be counted: it was passed over while it was away.
    mutating func stand(_ run: Int64, _ place: PlaceFacts, inLine isInLine: Bool) {
        if place.isInLine != isInLine { moved[run] = isInLine }
        change(Key(queue: place.queue, key: place.key), waiting: (isInLine ? 1 : 0) - (place.isInLine ? 1 : 0))
    }

    private mutating func change(_ key: Key, waiting: Int64) {
        let order = changes.count
        changes[key, default: Change(order: order, waiting: 0)].waiting += waiting
    }
}

extension PlaceColumns {
    private static let insert = SQL(
        """
        INSERT INTO perdure.places (run, queue, key, priority, deadline, in_line, is_admitted)
        SELECT run, queue, key, priority, deadline, true, false
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[]) AS new (run, queue, key, priority, deadline)
        """)
    private static let move = SQL(
        """
        UPDATE perdure.places SET in_line = new.in_line FROM unnest($1::bigint[], $2::boolean[]) AS new (run, in_line)
        WHERE places.run = new.run
        """)
    private static let handOver = SQL(
        """
        UPDATE perdure.places SET run = new.successor FROM unnest($1::bigint[], $2::bigint[]) AS new (run, successor)
        WHERE places.run = new.run
        """)
    private static let append = SQL(
        """
        INSERT INTO perdure.queue_changes (queue, key, waiting, held)
        SELECT queue, key, waiting, 0 FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS new (queue, key, waiting)
        """)
    /// Needs to know nothing of the runs but their numbers: also of one that cannot be read the place becomes free.
    static let leave = SQL(
        """
        WITH gone AS (
            DELETE FROM perdure.places WHERE run = ANY($1::bigint[]) RETURNING queue, key, in_line, is_admitted)
        INSERT INTO perdure.queue_changes (queue, key, waiting, held)
        SELECT queue, key, -count(*) FILTER (WHERE in_line), -count(*) FILTER (WHERE is_admitted) FROM gone
        GROUP BY queue, key ORDER BY queue, key
        """)

    func send(_ pipe: Pipeline) throws {
        if !entered.isEmpty {
            try pipe.execute(
                Self.insert, entered.map(\.run), entered.map(\.queue), entered.map(\.place.key), entered.map(\.place.priority),
                entered.map(\.deadline))
        }
        if !moved.isEmpty {
            let moved = Array(moved)
            try pipe.execute(Self.move, moved.map(\.key), moved.map(\.value))
        }
        if !inherited.isEmpty { try pipe.execute(Self.handOver, inherited.map(\.from), inherited.map(\.to)) }
        if !left.isEmpty { try pipe.execute(Self.leave, left) }
        if !changes.isEmpty {
            let changes = changes.sorted { $0.value.order < $1.value.order }
            try pipe.execute(Self.append, changes.map(\.key.queue), changes.map(\.key.key), changes.map(\.value.waiting))
        }
    }
}

extension CommitFacts {
    private static let queuesOf = SQL(
        """
        SELECT namespace, name, number FROM perdure.queues
        WHERE (namespace, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
        """)
    private static let placesOf = SQL(
        "SELECT run, queue, key, deadline, in_line FROM perdure.places WHERE run = ANY($1::bigint[])")

    func readQueues(_ wanted: Set<QueueKey>, _ pipe: Pipeline) throws {
        if wanted.isEmpty { return }
        let wanted = Array(wanted)
        try pipe.all(Self.queuesOf, wanted.map(\.namespace), wanted.map(\.name)) { [self] row in
            queues[QueueKey(namespace: try row.text(0), name: try row.text(1))] = try row.integer(2)
        }
    }

    /// Of runs that are given back before they were admitted.
    func readPlaces(of moved: Set<Int64>, _ pipe: Pipeline) throws {
        let asked = moved.filter { runs[$0]?.record.isAdmitted == false }
        if asked.isEmpty { return }
        try pipe.all(Self.placesOf, Array(asked)) { [self] row in
            runs[try row.integer(0)]?.place = PlaceFacts(
                queue: try row.integer(1), key: try row.text(2), deadline: try row.optionalTime(3), isInLine: try row.bool(4))
        }
    }
}
