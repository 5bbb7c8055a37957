package import Perdure
package import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    // Of an expired run only its end counts, even before the rest is removed.
    private static let start = "ifnull((SELECT last_seq FROM runs WHERE number = ?1), 0)"
    private static let page = SQL(
        "SELECT \(Event.columns) FROM events WHERE run = ?1 AND seq > max(?2, \(start)) ORDER BY seq LIMIT ?3")
    private static let pageBack = SQL(
        "SELECT \(Event.columns) FROM events WHERE run = ?1 AND seq < ?2 AND seq > \(start) ORDER BY seq DESC LIMIT ?3")
    private static let marks = SQL(
        """
        SELECT \(Event.columns) FROM marks CROSS JOIN events ON events.position = marks.position
        WHERE marks.run = ?1 AND marks.kind = ?2 AND (?3 IS NULL OR marks.subject = ?3) ORDER BY marks.position
        """)
    private static let owned = SQL(
        """
        SELECT \(InboxRow.columns) FROM inbox INDEXED BY inbox_arrivals JOIN runs ON runs.number = inbox.run
        WHERE inbox.consumed = 0 AND inbox.number > ?2 AND runs.owner = ?1 ORDER BY inbox.number LIMIT ?3
        """)
    private static let ownedRunByRun = SQL(
        """
        SELECT \(InboxRow.columns) FROM runs INDEXED BY runs_owned CROSS JOIN inbox INDEXED BY inbox_unread ON inbox.run = runs.number
        WHERE inbox.consumed = 0 AND inbox.number > ?2 AND runs.owner = ?1 ORDER BY inbox.number LIMIT ?3
        """)
    private static let countUnread = SQL(
        "SELECT count(*) FROM (SELECT 1 FROM inbox INDEXED BY inbox_arrivals WHERE consumed = 0 AND number > ?1 LIMIT ?2)")
    private static let due = SQL("SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND workflow = ?1 AND version = ?2")

    private static let isUnowned = SQL(
        "SELECT 1 FROM runs WHERE number = ?1 AND owner IS NULL AND epoch = ?2 AND closed_at IS NULL")

    private static let fewMessages = 1_000
    /// How many bytes of values end a page.
    private static let pageSize: Int64 = 4 << 20

    package func events(of run: Int64, after seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try Self.events(Self.page, of: run, from: seq, limit: limit, $0) }
    }

    package func events(of run: Int64, before seq: Int64, limit: Int) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try Self.events(Self.pageBack, of: run, from: seq, limit: limit, $0) }
    }

    /// Ends a page early once its values are large: what reads histories keeps whole pages in memory.
    private static func events(_ sql: SQL, of run: Int64, from seq: Int64, limit: Int, _ session: Session) throws -> [Event] {
        var events: [Event] = [], room = pageSize, likeness = EventLikeness()
        try session.forEach(sql, run, seq, max(0, limit)) { row in
            let event = try Event(row, run: run, &likeness)
            room -= event.valueSize
            events.append(event)
            return room > 0
        }
        return events
    }

    package func marked(_ kind: EventKind, _ subject: String?, in run: Int64) async throws(StoreError) -> [Event] {
        try await read(on: reader) { try Self.marked(kind, subject, in: run, $0) }
    }

    private static func marked(_ kind: EventKind, _ subject: String?, in run: Int64, _ session: Session) throws -> [Event] {
        try session.all(marks, run, kind.rawValue, subject) { try Event($0, run: run) }
    }

    package func beginnings(of runs: [Int64], limit: Int) async throws(StoreError) -> [Int64: RunBeginning] {
        try await read(on: reader) { session in
            try session.read {
                var beginnings: [Int64: RunBeginning] = [:], room = Self.pageSize
                for run in runs {
                    do {
                        let events = try Self.events(Self.page, of: run, from: 0, limit: limit, session)
                        let inbox = try session.inbox(of: run)
                        room -= events.reduce(0) { $0 + $1.valueSize } + inbox.valueSize
                        guard room > 0 else { break }
                        beginnings[run] = RunBeginning(
                            events: events, inbox: inbox, patches: try Self.marked(.versionPatched, nil, in: run, session))
                    } catch is BadRow {
                        // Whoever reads it alone is told what is wrong.
                    }
                }
                return beginnings
            }
        }
    }

    package func heartbeats(of run: Int64, _ subject: String?) async throws(StoreError) -> [HeartbeatRecord] {
        try await read(on: reader) { try $0.heartbeats(of: run, subject) }
    }

    package func knownDelivery(_ id: String, of run: Int64) async throws(StoreError) -> KnownDelivery? {
        try await read(on: reader) { try $0.knownDelivery(id, of: run) }
    }

    package func inbox(run: Int64, after number: Int64) async throws(StoreError) -> InboxPage {
        try await read(on: reader) { try $0.inbox(of: run, after: number) }
    }

    package func inboxes(of runs: [Int64]) async throws(StoreError) -> [Int64: InboxPage] {
        try await read(on: reader) { session in
            try session.read {
                var inboxes: [Int64: InboxPage] = [:], room = Self.pageSize
                for run in runs where room > 0 {
                    let inbox = try session.inbox(of: run)
                    room -= inbox.valueSize
                    inboxes[run] = inbox
                }
                return inboxes
            }
        }
    }

    package func interventions(run: Int64) async throws(StoreError) -> [InboxRow] {
        try await read(on: reader) { try $0.interventions(of: run) }
    }

    package func inbox(ownedBy node: NodeID, after number: Int64, limit: Int) async throws(StoreError) -> InboxPage {
        try await read(on: reader) { session in
            // Messages that nobody may take in could be many; then the owned runs are fewer.
            let unread = try session.first(Self.countUnread, number, Self.fewMessages) { try $0.integer(0) } ?? 0
            let query = unread < Self.fewMessages ? Self.owned : Self.ownedRunByRun
            var page = PageOfRows(limit: limit)
            try session.forEach(query, node, number, max(0, limit) + 1) { try page.add(InboxRow($0)) }
            return page.page
        }
    }

    package func nextWake(hosted: [ClaimRequest.Hosted]) async throws(StoreError) -> Timestamp? {
        try await read(on: reader) { session in
            try hosted.compactMap { hosted in
                // A time that cannot be read wakes nobody.
                try session.first(Self.due, hosted.workflow, hosted.version) { try? $0.optionalInteger(0) } ?? nil
            }.min().map(Timestamp.init(microseconds:))
        }
    }

    package func keyHolder(_ key: BusinessKey) async throws(StoreError) -> BusinessKeyRecord? {
        try await read(on: reader) { try $0.businessKey(key)?.record }
    }

    package func awaitKey(_ key: BusinessKey, run: Int64, subject: String) async throws(StoreError) -> BusinessKeyRecord? {
        try await write { try $0.awaitKey(key, run: run, subject: subject) }
    }

    package func awaitedKeys(of run: Int64) async throws(StoreError) -> [BusinessKeyWait] {
        try await read(on: browser) { try $0.awaitedKeys(of: run) }
    }

    package func quarantine(_ run: Int64, reason: String, ifUnownedSince epoch: Int64?) async throws(StoreError) {
        let now = now()
        try await write { session in
            if let epoch, try !session.exists(Self.isUnowned, run, epoch) { return }
            try session.quarantine(run, reason: reason, now: now)
        }
    }

    package func run(_ id: RunID) async throws(StoreError) -> RunRecord? {
        try await read(on: reader) { try $0.run(id) }
    }

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
