package import Perdure
package import PerdureHistory
package import PerdureStore

extension PostgresStore {
    /// Of how many runs a page is read at once: each may be as large as a page can be.
    private static let runsAtOnce = 8
    /// How many bytes of values end a page.
    private static let pageSize: Int64 = 4 << 20

    // Of an expired run only its end counts, even before the rest is removed. A page ends early once its values are large: the server
    // sends nothing that would not be kept.
    private static let start = "coalesce((SELECT last_seq FROM perdure.runs WHERE number = $1::bigint), 0)"
    private static let size = """
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
    /// Those that the node was told of are left out, and so is what a page has no room for but for its first row.
    private static let owned = SQL(
        """
        SELECT \(InboxRow.columns) FROM (
            SELECT inbox.*, sum(coalesce(octet_length(payload), 0))
                OVER (ORDER BY inbox.number ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
            FROM perdure.inbox JOIN perdure.runs ON runs.number = inbox.run
            WHERE NOT inbox.consumed AND inbox.number > $2::bigint AND runs.owner = $1::text
                AND (inbox.number > $3::bigint
                    OR NOT EXISTS (SELECT 1 FROM unnest($4::bigint[]) AS told (number) WHERE told.number = inbox.number))
            ORDER BY inbox.number LIMIT $5::bigint) AS inbox
            JOIN perdure.runs ON runs.number = inbox.run
        WHERE coalesce(before, 0) < \(InboxPage.size) ORDER BY inbox.number
        """)
    private static let lastNumber = SQL("SELECT last_value FROM perdure.inbox_numbers")
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
    private static let interventionKinds = InboxKind.allCases.filter { $0.needsNoCode || $0 == .retry }
        .map { "'\($0.rawValue)'" }.joined(separator: ", ")
    private static let interventions = SQL(
        """
        SELECT \(InboxRow.columns) FROM perdure.inbox JOIN perdure.runs ON runs.number = inbox.run
        WHERE inbox.run = $1::bigint AND NOT inbox.consumed AND inbox.kind IN (\(interventionKinds))
        ORDER BY inbox.number LIMIT \(InboxPage.limit)
        """)
    private static let beats = SQL(
        """
        SELECT subject, is_undo, at, details FROM perdure.heartbeats
        WHERE run = $1::bigint AND ($2::text IS NULL OR subject = $2::text) ORDER BY subject, is_undo
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

    /// Three questions for each run, all of them at once.
    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await read(on: reader) { session in
            var beginnings: [Int64: RunBeginning] = [:], room = Self.pageSize
            for group in runs.groups(of: Self.runsAtOnce) where room > 0 {
                for (run, beginning) in try session.beginnings(of: group, limit: limit, Self.page, Self.marks) {
                    room -= beginning.valueSize
                    guard room > 0 else { break }
                    beginnings[run] = beginning
                }
            }
            return beginnings
        }
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await read(on: reader) { session in
            try session.all(Self.beats, run, subject) { row in
                HeartbeatRecord(
                    subject: try row.text(0), isUndo: try row.bool(1), at: try row.time(2), details: try row.optionalBytes(3))
            }
        }
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await read(on: reader) { try $0.inbox(of: run, after: number) }
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        try await read(on: reader) { session in
            var inboxes: [Int64: InboxPage] = [:], room = Self.pageSize
            for group in runs.groups(of: Self.runsAtOnce) where room > 0 {
                for (run, inbox) in try session.inboxes(of: group) where room > 0 {
                    room -= inbox.valueSize
                    inboxes[run] = inbox
                }
            }
            return inboxes
        }
    }

    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] {
        try await read(on: reader) { session in
            var page = PageOfRows()
            for row in try session.all(Self.interventions, run, row: { try InboxRow($0) }) { _ = page.add(row) }
            return page.page.rows
        }
    }

    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        let arrivals = arrivals
        return try await read(on: reader) { session in
            // Before the look: what is numbered after this is found by the next one.
            let last = try session.first(Self.lastNumber) { try $0.integer(0) } ?? 0
            let (floor, told) = arrivals.beginLook(for: node, after: number, last: last)
            var page = PageOfRows(limit: limit)
            let rows = try session.all(Self.owned, node, floor, number, told, max(0, limit) + 1) { try InboxRow($0) }
            for row in rows { if !page.add(row) { break } }
            arrivals.note(page.page.rows)
            return page.page
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

extension Session {
    /// A run that cannot be read is left out: whoever reads it alone is told what is wrong.
    fileprivate func beginnings(
        of runs: [Int64], limit: Int, _ page: SQL, _ marks: SQL
    ) throws -> [(Int64, RunBeginning)] {
        let inboxes = Dictionary(try inboxes(of: runs)) { first, _ in first }
        var beginnings: [(Int64, RunBeginning)] = []
        let events = try ofEach(runs) { run, pipe, row in try pipe.all(page, run, Int64(0), max(0, limit), row: row) }
        let patches = try ofEach(runs) { run, pipe, row in
            try pipe.all(marks, run, EventKind.versionPatched.rawValue, Optional<String>.none, row: row)
        }
        for run in runs {
            guard let events = events[run], let patches = patches[run], let inbox = inboxes[run] else { continue }
            beginnings.append((run, RunBeginning(events: events, inbox: inbox, patches: patches)))
        }
        return beginnings
    }

    /// Asks the same of each run, and gives the events of those that can be read.
    private func ofEach(
        _ runs: [Int64], _ ask: (Int64, Pipeline, @escaping (Row) throws -> Void) throws -> Void
    ) throws -> [Int64: [Event]] {
        var found = Dictionary(runs.map { ($0, [Event]()) }) { first, _ in first }
        try pipeline { pipe in
            for run in runs {
                try ask(run, pipe) { row in
                    do throws(BadRow) {
                        found[run]?.append(try Event(row, run: run))
                    } catch {
                        found[run] = nil
                    }
                }
            }
        }
        return found
    }
}

extension RunBeginning {
    fileprivate var valueSize: Int64 { events.reduce(0) { $0 + $1.valueSize } + inbox.valueSize }
}

extension Array {
    func groups(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
