internal import PerdureHistory
internal import PerdureStore

// Several runs at once: one statement for all of them, where most runs that are brought into memory have a few events and no messages.
extension Session {
    private static let size = PostgresStore.size, pageSize = PostgresStore.pageSize

    /// Of each run a page as alone. Of those behind a run whose page ends the answer nothing is sent.
    static let firstEvents = SQL(
        """
        SELECT events.run, \(Event.columns) FROM (
            SELECT events.*, sum(events.size) OVER (ORDER BY events.run GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
            FROM unnest($1::bigint[]) AS wanted (run) CROSS JOIN LATERAL (
                SELECT *, \(size) AS size, sum(\(size)) OVER (ORDER BY seq) - (\(size)) AS before FROM perdure.events
                WHERE events.run = wanted.run
                    AND seq > coalesce((SELECT last_seq FROM perdure.runs WHERE runs.number = wanted.run), 0)
                ORDER BY seq LIMIT $2::bigint) AS events
            WHERE events.before < \(pageSize)) AS events
        WHERE coalesce(earlier, 0) < \(pageSize) ORDER BY events.run, events.seq
        """)
    private static let marks = SQL(
        """
        SELECT events.run, \(Event.columns)
        FROM perdure.marks JOIN perdure.events ON events.run = marks.run AND events.seq = marks.seq
        WHERE marks.run = ANY($1::bigint[]) AND marks.kind = $2::text ORDER BY events.run, events.seq
        """)

    /// A run that cannot be read is left out: whoever reads it alone is told what is wrong. So is one that there was no room for.
    func beginnings(of runs: [Int64], limit: Int) throws -> [Int64: RunBeginning] {
        var inboxes: [Int64: InboxPage] = [:], events = EventsOfRuns(), patches = EventsOfRuns()
        try pipeline { pipe in
            try readInboxes(of: runs, pipe) { inboxes[$0] = $1 }
            try pipe.all(Self.firstEvents, runs, limit) { try events.add($0) }
            try pipe.all(Self.marks, runs, EventKind.versionPatched.rawValue) { try patches.add($0) }
        }
        var beginnings: [Int64: RunBeginning] = [:]
        for run in runs {
            guard let inbox = inboxes[run], let first = events[run], !first.isEmpty, let patches = patches[run] else { continue }
            beginnings[run] = RunBeginning(events: first, inbox: inbox, patches: patches)
        }
        return beginnings
    }
}

/// What was read of several runs, without those of which something could not be read.
private struct EventsOfRuns {
    private var events: [Int64: [Event]] = [:]
    private var unreadable: Set<Int64> = []

    subscript(run: Int64) -> [Event]? { unreadable.contains(run) ? nil : events[run] ?? [] }

    /// - Parameter row: the run's number, and an event.
    mutating func add(_ row: Row) throws {
        let run = try row.integer(0)
        do throws(BadRow) {
            events[run, default: []].append(try Event(row, run: run, from: 1))
        } catch {
            unreadable.insert(run)
        }
    }
}
