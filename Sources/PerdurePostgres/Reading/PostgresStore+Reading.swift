package import Perdure
package import PerdureHistory
package import PerdureStore

extension PostgresStore {
    /// How many bytes of values end a page.
    static let pageSize: Int64 = 4 << 20

    // Of an expired run only its end counts, even before the rest is removed. A page ends early once its values are large: the server
    // sends nothing that would not be kept.
    private static let start = "coalesce((SELECT last_seq FROM perdure.runs WHERE number = $1::bigint), 0)"
    static let size = """
        coalesce(input_size, octet_length(input), 0)::bigint + coalesce(output_size, octet_length(output), 0)::bigint
        """
    private static let page = SQL(
        """
        SELECT \(Event.columns) FROM (
            SELECT *, sum(\(size)) OVER (ORDER BY seq) - (\(size)) AS before FROM perdure.events
            WHERE run = $1::bigint AND seq > greatest($2::bigint, \(start)) ORDER BY seq LIMIT $3::bigint) AS events
        WHERE before < \(pageSize) ORDER BY seq
        """)
    private static let pageBack = SQL(
        """
        SELECT \(Event.columns) FROM (
            SELECT *, sum(\(size)) OVER (ORDER BY seq DESC) - (\(size)) AS before FROM perdure.events
            WHERE run = $1::bigint AND seq < $2::bigint AND seq > \(start) ORDER BY seq DESC LIMIT $3::bigint) AS events
        WHERE before < \(pageSize) ORDER BY seq DESC
        """)
    private static let marks = SQL(
        """
        SELECT \(Event.columns) FROM perdure.marks JOIN perdure.events ON events.run = marks.run AND events.seq = marks.seq
        WHERE marks.run = $1::bigint AND marks.kind = $2::text AND ($3::text IS NULL OR marks.subject = $3::text)
        ORDER BY marks.seq
        """)
    private static let due = SQL(
        """
        SELECT min(due.wake_at) FROM unnest($1::text[], $2::text[]) AS hosted (workflow, version) CROSS JOIN LATERAL (
            SELECT wake_at FROM perdure.runs
            WHERE wake_at IS NOT NULL AND runs.workflow = hosted.workflow AND runs.version = hosted.version
            ORDER BY wake_at LIMIT 1) AS due
        """)
    /// A run that says of itself what this release does not know ends waits too: whoever reads it is told.
    private static let goingOn = RunState.allCases.filter { !$0.endsWaits }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let replies = EventKind.replies.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    /// An empty text stands for no update.
    private static let ended = SQL(
        """
        SELECT wanted.place FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (id, reply, place)
            LEFT JOIN perdure.runs ON runs.id = wanted.id::uuid
        WHERE runs.number IS NULL OR runs.state NOT IN (\(goingOn))
            OR wanted.reply <> '' AND EXISTS (
                SELECT 1 FROM perdure.marks
                WHERE marks.run = runs.number AND marks.kind IN (\(replies)) AND marks.subject = wanted.reply)
        ORDER BY wanted.place
        """)
    private static let isUnowned = SQL(
        """
        SELECT 1 FROM perdure.runs WHERE number = $1::bigint AND owner IS NULL AND epoch = $2::bigint AND closed_at IS NULL
        FOR NO KEY UPDATE
        """)
    private static let beats = SQL(
        """
        SELECT subject, is_undo, at, details FROM perdure.heartbeats
        WHERE run = $1::bigint AND ($2::text IS NULL OR subject = $2::text) ORDER BY subject, is_undo
        """)

    private static let known = SQL(
        """
        SELECT \(KnownDelivery.column) FROM perdure.inbox JOIN perdure.runs ON runs.number = inbox.run
        WHERE inbox.run = $1::bigint AND delivery_id = $2::text
        """)

    package func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try $0.all(Self.page, run, seq, max(0, limit)) { try Event($0, run: run) } }
    }

    package func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try $0.all(Self.pageBack, run, seq, max(0, limit)) { try Event($0, run: run) } }
    }

    package func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try $0.all(Self.marks, run, kind.rawValue, subject) { try Event($0, run: run) } }
    }

    package func ended(among waits: [RunWait]) async throws(StoreError) -> [RunWait] {
        try await read(on: reader) { session in
            let places = try session.all(Self.ended, waits.map(\.run), waits.map { $0.update ?? "" }) { try $0.integer(0) }
            return places.map { waits[Int($0) - 1] }
        }
    }

    package func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await read(on: reader) { session in
            try session.first(Self.known, run, id) { KnownDelivery(digest: try $0.optionalBytes(0)) }
        }
    }

    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await read(on: reader) { try $0.beginnings(of: runs, limit: max(0, limit)) }
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await read(on: reader) { session in
            try session.all(Self.beats, run, subject) { row in
                HeartbeatRecord(
                    subject: try row.text(0), isUndo: try row.bool(1), at: try row.time(2), details: try row.optionalBytes(3))
            }
        }
    }

    package func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await read(on: reader) { session in
            try session.first(Self.due, hosted.map(\.workflow), hosted.map(\.version)) { try $0.optionalTime(0) } ?? nil
        }
    }

    package func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        let time = options.clock?()
        try await write { session in
            if let epoch, try !session.exists(Self.isUnowned, run, epoch) { return }
            guard let now = try session.first(Self.time, time, row: { try $0.time(0) }) else { return }
            try session.quarantine(run, reason: reason, now: now)
        }
        bell.ring(Channel.all)
        tellOfPlaces()
    }

    private static let time = SQL("SELECT \(StoreClock.now("$1"))")

    package func run(_ id: RunID) async throws(StoreError) -> RunRecord? { try await read(on: reader) { try $0.run(id) } }

    package func run(number: Int64) async throws(StoreError) -> RunRecord? {
        try await read(on: reader) { try $0.run(number) }
    }

    package func lastOfChain(begunBy first: RunID) async throws(StoreError) -> RunRecord? {
        try await read(on: reader) { try $0.lastOfChain(begunBy: first) }
    }

    package func namespace(of run: RunSearch) async throws(StoreError) -> String? {
        try await read(on: reader) { try $0.namespace(of: run) }
    }

    package func run(namespace: String, workflow: String, key: String) async throws(StoreError) -> RunRecord? {
        try await read(on: reader) { try $0.run(namespace: namespace, workflow: workflow, key: key) }
    }
}
