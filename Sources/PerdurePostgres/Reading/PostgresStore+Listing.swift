internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension PostgresStore {
    private static let newest = SQL(
        """
        SELECT \(RunRecord.columns) FROM perdure.runs
        WHERE number < $1::bigint AND ($2::text IS NULL OR namespace = $2::text) AND ($3::text IS NULL OR workflow = $3::text)
            AND ($4::text IS NULL OR version = $4::text)
        ORDER BY number DESC LIMIT $5::bigint
        """)
    /// The index by state and namespace gives each pair in order; few pages of them merge cheaply.
    private static let newestInState = SQL(
        """
        SELECT \(RunRecord.columns) FROM perdure.runs
        WHERE state = $1::text AND namespace = $2::text AND number < $3::bigint AND ($4::text IS NULL OR workflow = $4::text)
            AND ($5::text IS NULL OR version = $5::text)
        ORDER BY number DESC LIMIT $6::bigint
        """)
    /// From one namespace to the next, without looking at all of their runs.
    private static let namespaces = SQL(
        """
        WITH RECURSIVE names (name) AS (
            (SELECT min(namespace) FROM perdure.runs WHERE state = $1::text)
            UNION ALL
            SELECT (SELECT min(namespace) FROM perdure.runs WHERE state = $1::text AND namespace > names.name)
            FROM names WHERE names.name IS NOT NULL)
        SELECT name FROM names WHERE name IS NOT NULL
        """)
    private static let count = SQL(
        "SELECT state, count(*) FROM perdure.runs WHERE $1::text IS NULL OR namespace = $1::text GROUP BY state")
    private static let open = SQL(
        """
        SELECT \(RunRecord.columns), open_requests.number, \(Event.columns)
        FROM perdure.open_requests JOIN perdure.runs ON runs.number = open_requests.run
            JOIN perdure.events ON events.run = open_requests.run AND events.seq = open_requests.seq
        WHERE open_requests.number > $1::bigint AND runs.state <> 'quarantined'
            AND ($2::text IS NULL OR runs.namespace = $2::text) AND ($3::text IS NULL OR open_requests.kind = $3::text)
        ORDER BY open_requests.number LIMIT $4::bigint
        """)
    private static let numbers = SQL(
        "SELECT number FROM perdure.runs WHERE number < $1::bigint ORDER BY number DESC LIMIT $2::bigint")
    private static let labelledPage = SQL(
        """
        SELECT \(RunRecord.columns) FROM perdure.labels JOIN perdure.runs ON runs.number = labels.run
        WHERE labels.name = $1::text AND labels.value = $2::text AND labels.run < $3::bigint
        ORDER BY labels.run DESC LIMIT 200
        """)
    private static let labelsOf = SQL("SELECT run, name, value FROM perdure.labels WHERE run = ANY($1::bigint[])")
    private static let versionCounts = SQL(
        """
        SELECT workflow, version, state, count(*) FROM perdure.runs WHERE $1::text IS NULL OR namespace = $1::text
        GROUP BY workflow, version, state ORDER BY workflow, version
        """)

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        try await read(on: browser) { session in
            let before = filter.before ?? .max, limit = max(0, filter.limit)
            if !filter.labels.isEmpty { return try Self.labelled(filter, before: before, session) }
            guard !filter.states.isEmpty else {
                return try session.all(Self.newest, before, filter.namespace, filter.workflow, filter.version, limit) {
                    try RunRecord($0)
                }
            }
            var found: [RunRecord] = []
            for state in Set(filter.states) {
                let namespaces = try filter.namespace.map { [$0] } ?? session.all(Self.namespaces, state) { try $0.text(0) }
                for namespace in namespaces {
                    found += try session.all(
                        Self.newestInState, state, namespace, before, filter.workflow, filter.version, limit
                    ) { try RunRecord($0) }
                }
            }
            return Array(found.sorted { $0.number > $1.number }.prefix(limit))
        }
    }

    package func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await read(on: browser) { session in
            try session.all(Self.numbers, before ?? .max, max(0, limit)) { try $0.integer(0) }
        }
    }

    /// Goes through the runs that have one of the labels, newest first, and keeps those that fit in everything else.
    private static func labelled(_ filter: RunFilter, before: Int64, _ session: Session) throws -> [RunRecord] {
        guard let first = filter.labels.min(by: { $0.key < $1.key }), filter.limit > 0 else { return [] }
        let states = Set(filter.states)
        var found: [RunRecord] = [], before = before
        while true {
            let page = try session.all(labelledPage, first.key, first.value, before) { try RunRecord($0) }
            let labels = filter.labels.count == 1 ? [:] : try labels(of: page.map(\.number), session)
            for run in page
            where (states.isEmpty || states.contains(run.state)) && filter.namespace.map({ $0 == run.namespace }) ?? true
                && filter.workflow.map({ $0 == run.workflow }) ?? true && filter.version.map({ $0 == run.version }) ?? true
            {
                let own = filter.labels.count == 1 ? filter.labels : labels[run.number] ?? [:]
                guard filter.labels.allSatisfy({ own[$0.key] == $0.value }) else { continue }
                found.append(run)
                if found.count == filter.limit { return found }
            }
            guard let last = page.last else { return found }
            before = last.number
        }
    }

    private static func labels(of runs: [Int64], _ session: Session) throws -> [Int64: [String: String]] {
        var labels: [Int64: [String: String]] = [:]
        let rows = try session.all(labelsOf, runs) { (run: try $0.integer(0), name: try $0.text(1), value: try $0.text(2)) }
        for row in rows { labels[row.run, default: [:]][row.name] = row.value }
        return labels
    }

    package func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await read(on: browser) { try Self.labels(of: runs, $0) }
    }

    private static let runMakers = SQL(
        """
        SELECT virtualtransaction FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
            AND (classid::bigint << 32 | objid::bigint) = \(AdvisoryLock.restorations.rawValue)
        """)

    /// Every commit that makes runs has the lock before it takes numbers for them, and until its rows are to be seen.
    package func runMakers() async throws(StoreError) -> Set<String> {
        try await read(on: browser) { session in Set(try session.all(Self.runMakers) { try $0.text(0) }) }
    }

    private static let lastSeqs = SQL(
        """
        SELECT wanted.run, last.seq FROM unnest($1::bigint[]) AS wanted (run)
            CROSS JOIN LATERAL (SELECT seq FROM perdure.events WHERE run = wanted.run ORDER BY seq DESC LIMIT 1) AS last
        """)

    package func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] {
        try await read(on: browser) { session in
            let rows = try session.all(Self.lastSeqs, runs) { (try $0.integer(0), try $0.integer(1)) }
            return Dictionary(rows) { first, _ in first }
        }
    }

    package func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try await read(on: browser) { session in
            let rows = try session.all(Self.count, namespace) { (try $0.state(0), Int(try $0.integer(1))) }
            return Dictionary(rows, uniquingKeysWith: +)
        }
    }

    package func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await read(on: browser) { session in
            var versions: [VersionCounts] = []
            let rows = try session.all(Self.versionCounts, namespace) { row in
                (workflow: try row.text(0), version: try row.text(1), state: try row.state(2), count: Int(try row.integer(3)))
            }
            for row in rows {
                if versions.last?.workflow != row.workflow || versions.last?.version != row.version {
                    versions.append(VersionCounts(workflow: row.workflow, version: row.version, runs: [:]))
                }
                versions[versions.count - 1].runs[row.state] = row.count
            }
            return versions
        }
    }

    package func openRequests(_ query: RequestQuery) async throws(StoreError) -> [OpenRequest] {
        try await read(on: browser) { session in
            try session.all(Self.open, query.after, query.namespace, query.kind?.rawValue, max(0, query.limit)) { row in
                let run = try RunRecord(row), event = try Event(row, run: run.number, from: RunRecord.columnCount + 1)
                return OpenRequest(number: try row.integer(RunRecord.columnCount), run: run, event: event)
            }
        }
    }
}
