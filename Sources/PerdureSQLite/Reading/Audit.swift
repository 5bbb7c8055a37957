internal import Foundation
internal import GRDBSQLite
internal import PerdureHistory

/// The rules that hold in a sound store whatever happened to its processes. Each check gives one sentence for each breach.
///
/// Several of them are kept by the schema as well; a file can be changed by hand.
enum Audit {
    static let checks: [SQL] = [
        damage, rows, nodes, inbox, wakes, consumed, history, ends, blocked, requests, marks, strays, blobs, waiters,
        tombstones, heartbeats, chains, places, lines, counters,
    ]

    private static let final = "('completed', 'failed', 'cancelled', 'terminated')"
    private static let withoutCode = "('terminate', 'resolve', 'pause', 'unpause', 'repin', 'reset')"
    private static let finalKinds = list(EventKind.allCases.filter(\.isFinal))
    private static let afterFinal = list(EventKind.allCases.filter(\.mayFollowFinal))

    private static func list(_ kinds: [EventKind]) -> String {
        "(" + kinds.map { "'\($0.rawValue)'" }.joined(separator: ", ") + ")"
    }

    /// Where what would name a row is not there.
    static let nameless = "a row has lost what would name it"

    private static let damaged = "the file is damaged: "

    private static let damage = SQL(
        "SELECT '\(damaged)' || quick_check FROM pragma_quick_check(20) WHERE quick_check <> 'ok'")

    /// What SQLite's check lists among the damage and is none that was seen: a page that could not be read. Asked again, it may be.
    static func failure(in problem: String) -> SQLFailure? {
        guard problem.hasPrefix(damaged) else { return nil }
        let text = problem.dropFirst(damaged.count)
        let codes = text.components(separatedBy: "unable to get the page. error code=").dropFirst().compactMap {
            Int32($0.prefix(while: \.isNumber))
        }
        let unread = codes.first { $0 & 0xFF == SQLITE_IOERR }
        guard unread != nil || text.contains("failed to get page") else { return nil }
        return SQLFailure(code: unread ?? SQLITE_IOERR, message: String(text))
    }

    private static let rows = SQL(
        """
        SELECT 'run ' || id || ' is ' || state || ' but ' || CASE
            WHEN (owner IS NOT NULL) <> (state = 'running') AND state <> 'terminated'
                THEN CASE WHEN owner IS NULL THEN 'has no owner' ELSE 'has an owner' END
            WHEN needs_retry <> 0 AND state <> 'parked' THEN 'waits for a retry'
            WHEN wake_at IS NOT NULL AND state NOT IN ('waiting', 'parked', 'queued') THEN 'has a time to wake'
            WHEN state IN \(final) THEN 'has no closing time'
            ELSE 'has a closing time' END
        FROM runs
        WHERE ((owner IS NOT NULL) <> (state = 'running') AND state <> 'terminated')
            OR (needs_retry <> 0 AND state <> 'parked')
            OR (wake_at IS NOT NULL AND state NOT IN ('waiting', 'parked', 'queued'))
            OR (state <> 'quarantined' AND (closed_at IS NOT NULL) <> (state IN \(final)))
        """)

    private static let nodes = SQL(
        """
        SELECT 'run ' || id || ' is owned by ' || owner || ', a node that the store does not know' FROM runs
        WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM nodes)
        UNION ALL
        SELECT count(*) || ' nodes are registered at once' FROM nodes WHERE ended_at IS NULL HAVING count(*) > 1
        """)

    private static let inbox = SQL(
        """
        SELECT 'run ' || runs.id || ' is ' || runs.state || ' but has not read inbox row ' || inbox.number
        FROM inbox JOIN runs ON runs.number = inbox.run WHERE inbox.consumed = 0 AND runs.state IN \(final)
            AND NOT (runs.state = 'terminated' AND inbox.kind = 'resolve')
        """)

    /// Who has to be woken by what is unread, told once more, in SQL.
    private static let wakes = SQL(
        """
        WITH expected (run, workflow, version, host, anyone) AS (
            SELECT runs.number, runs.workflow, runs.version,
                max(runs.state = 'waiting' AND inbox.kind NOT IN \(withoutCode)
                    OR runs.state = 'parked' AND inbox.kind NOT IN \(withoutCode)
                        AND (runs.needs_retry = 0 OR inbox.kind = 'retry' AND inbox.name = '')
                    OR runs.state = 'blocked' AND inbox.kind = 'retry' AND inbox.name = ''),
                max(inbox.kind IN \(withoutCode)
                        AND runs.state IN ('queued', 'ready', 'running', 'waiting', 'blocked', 'parked', 'paused')
                    OR inbox.kind = 'cancel' AND runs.is_admitted = 0 AND runs.state IN ('queued', 'running')
                    OR inbox.kind = 'resolve' AND runs.state = 'terminated')
            FROM inbox JOIN runs ON runs.number = inbox.run WHERE inbox.consumed = 0 GROUP BY runs.number),
        found (run, workflow, version, host, anyone) AS (
            SELECT run, workflow, version, host_at IS NOT NULL, anyone_at IS NOT NULL FROM wakes)
        SELECT 'run number ' || run || ' has unread messages that do not wake it' FROM (
            SELECT * FROM expected WHERE host OR anyone EXCEPT SELECT * FROM found)
        UNION ALL
        SELECT 'run number ' || run || ' is woken by messages that it does not have' FROM (
            SELECT * FROM found EXCEPT SELECT * FROM expected)
        """)

    private static let consumed = SQL(
        """
        SELECT 'inbox row ' || number || ' was read but keeps its payload' FROM inbox
        WHERE consumed <> 0 AND payload IS NOT NULL AND (typeof(payload) <> 'blob' OR length(payload) <> 32)
        """)

    private static let history = SQL(
        """
        SELECT 'run ' || runs.id || CASE
            WHEN count(events.seq) = 0 THEN ' has no events'
            ELSE ' has ' || count(events.seq) || ' events from seq ' || min(events.seq) || ' to ' || max(events.seq) END
        FROM runs LEFT JOIN events ON events.run = runs.number WHERE runs.expired_at IS NULL GROUP BY runs.number
        HAVING count(events.seq) = 0 OR min(events.seq) <> 1 OR max(events.seq) <> count(events.seq)
        """)

    /// The last event that is not a mere epilogue says whether and how the run ended. `continued` counts as completed.
    private static let ends = SQL(
        """
        SELECT 'run ' || id || ' is ' || state || ' but its history ends with ' || kind FROM (
            SELECT runs.id, runs.state, (
                SELECT events.kind FROM events WHERE events.run = runs.number AND events.kind NOT IN \(afterFinal)
                ORDER BY events.seq DESC LIMIT 1) AS kind
            FROM runs WHERE runs.state <> 'quarantined' AND runs.expired_at IS NULL)
        WHERE CASE WHEN state IN \(final)
            THEN kind <> 'run.' || state AND NOT (state = 'completed' AND kind = 'run.continued')
            ELSE kind IN \(finalKinds) END
        """)

    private static let blocked = SQL(
        """
        SELECT 'run ' || id || ' is blocked but for no build' FROM runs
        WHERE state = 'blocked' AND NOT EXISTS (SELECT 1 FROM blocked_builds WHERE run = runs.number)
        UNION ALL
        SELECT 'run ' || runs.id || ' is ' || runs.state || ' but still marked as blocked for ' || blocked_builds.build
        FROM blocked_builds JOIN runs ON runs.number = blocked_builds.run
        WHERE runs.state NOT IN ('blocked', 'paused', 'running', 'quarantined')
        """)

    private static let requests = SQL(
        """
        WITH open (position, run) AS (
            SELECT asked.position, asked.run FROM events AS asked JOIN runs ON runs.number = asked.run
            WHERE asked.kind IN ('approval.requested', 'question.asked') AND runs.state NOT IN \(final) AND runs.closed_at IS NULL
                AND NOT EXISTS (
                    SELECT 1 FROM events AS ended
                    WHERE ended.run = asked.run AND ended.seq > asked.seq
                        AND CASE asked.kind
                            WHEN 'question.asked' THEN ended.subject = asked.subject
                                AND ended.kind IN ('question.answered', 'question.expired', 'question.cancelled')
                            ELSE ended.kind = 'run.restored' OR ended.subject = asked.subject
                                AND ended.kind IN ('approval.decided', 'approval.expired', 'approval.cancelled', 'approval.voided')
                            END))
        SELECT 'run ' || runs.id || ' has an open request at position ' || open.position || ' that is not listed'
        FROM open JOIN runs ON runs.number = open.run WHERE open.position NOT IN (SELECT position FROM open_requests)
        UNION ALL
        SELECT 'the request at position ' || position || ' of run number ' || run || ' is listed but not open'
        FROM open_requests WHERE position NOT IN (SELECT position FROM open)
        """)

    private static let marks = SQL(
        """
        WITH expected (run, kind, subject, position) AS (
            SELECT run, kind, CASE WHEN kind IN \(list(EventKind.allCases.filter(\.isMarkedOnce))) THEN '' ELSE subject END AS place,
                max(position)
            FROM events WHERE kind IN \(list(EventKind.allCases.filter(\.isMarked)))
                AND run NOT IN (SELECT number FROM runs WHERE expired_at IS NOT NULL)
            GROUP BY run, kind, place)
        SELECT 'run number ' || run || ' has a latest ' || kind || ' of ''' || subject || ''' that is not marked' FROM (
            SELECT * FROM expected EXCEPT SELECT run, kind, subject, position FROM marks)
        UNION ALL
        SELECT 'run number ' || run || ' has a mark of ' || kind || ' that is not its latest' FROM (
            SELECT run, kind, subject, position FROM marks EXCEPT SELECT * FROM expected)
        UNION ALL
        SELECT 'a label belongs to run number ' || run || ', which does not exist' FROM labels
        WHERE run NOT IN (SELECT number FROM runs)
        """)

    private static let strays = SQL(
        """
        SELECT 'event ' || seq || ' belongs to run number ' || run || ', which does not exist' FROM events
        WHERE run NOT IN (SELECT number FROM runs)
        UNION ALL
        SELECT 'inbox row ' || number || ' belongs to run number ' || run || ', which does not exist' FROM inbox
        WHERE run NOT IN (SELECT number FROM runs)
        """)

    /// What is left of an expired run: its end, and nothing else once everything is removed.
    private static let tombstones = SQL(
        """
        SELECT 'run ' || id || ' has expired, but its history does not end with run.expired after event ' || last_seq FROM runs
        WHERE expired_at IS NOT NULL AND (
            SELECT count(*) <> 1 OR max(seq) <> last_seq + 1 OR max(kind) <> 'run.expired' FROM events
            WHERE run = runs.number AND seq > last_seq)
        UNION ALL
        SELECT 'run ' || id || ' has expired and keeps something of its history' FROM runs
        WHERE expired_at IS NOT NULL AND leftover = 0 AND (
            EXISTS (SELECT 1 FROM events WHERE run = runs.number AND seq <= last_seq)
            OR EXISTS (SELECT 1 FROM blobs WHERE run = runs.number) OR EXISTS (SELECT 1 FROM inbox WHERE run = runs.number)
            OR EXISTS (SELECT 1 FROM labels WHERE run = runs.number))
        """)

    /// Whether a blob is the value that was recorded, the chain tells.
    private static let blobs = SQL(
        """
        WITH pointers (run, seq, digest, size) AS (
            SELECT run, seq, input, input_size FROM events WHERE input_size IS NOT NULL
            UNION ALL SELECT run, seq, output, output_size FROM events WHERE output_size IS NOT NULL)
        SELECT 'event ' || pointers.seq || ' of run number ' || pointers.run || ' has lost its large value'
        FROM pointers LEFT JOIN blobs ON blobs.run = pointers.run AND blobs.digest = pointers.digest
        WHERE blobs.number IS NULL OR length(CAST(blobs.content AS BLOB)) <> pointers.size
        UNION ALL
        SELECT 'run number ' || run || ' keeps a large value that none of its events has' FROM (
            SELECT run, digest FROM blobs WHERE run NOT IN (SELECT number FROM runs WHERE leftover <> 0)
            EXCEPT SELECT run, digest FROM pointers)
        """)

    /// A run that was continued names its successor, which knows where the chain began.
    private static let chains = SQL(
        """
        SELECT 'run ' || id || ' does not say in its row what its history says of its being continued' FROM runs
        WHERE state <> 'quarantined' AND expired_at IS NULL AND (successor IS NOT NULL) <> EXISTS (
            SELECT 1 FROM events WHERE run = runs.number AND kind = 'run.continued')
        UNION ALL
        SELECT 'run ' || runs.id || ' was continued as ' || runs.successor || ', which is not of the same chain'
        FROM runs LEFT JOIN runs AS next ON next.id = runs.successor
        WHERE runs.successor IS NOT NULL AND next.origin IS NOT coalesce(runs.origin, runs.id)
        """)

    private static let heartbeats = SQL(
        """
        SELECT 'the heartbeat of step ' || subject || ' belongs to run number ' || run || ', which is not open'
        FROM heartbeats WHERE run NOT IN (SELECT number FROM runs WHERE state NOT IN \(final))
        """)

    private static let waiters = SQL(
        """
        SELECT 'run number ' || w.run || ' waits for a business key that ' ||
            CASE WHEN k.number IS NULL THEN 'does not exist' WHEN k.state <> 'open' THEN 'is settled' ELSE 'it cannot use any more' END
        FROM business_key_waiters AS w LEFT JOIN business_keys AS k ON k.number = w.key LEFT JOIN runs AS r ON r.number = w.run
        WHERE k.number IS NULL OR k.state <> 'open' OR r.number IS NULL OR r.state IN \(final)
        """)
}
