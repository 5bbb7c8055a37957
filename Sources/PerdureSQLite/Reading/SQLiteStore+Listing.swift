internal import Perdure
internal import PerdureHistory
package import PerdureStore

extension SQLiteStore {
    private static let newest = SQL(
        """
        SELECT \(RunRecord.columns) FROM runs
        WHERE number < ?1 AND (?2 IS NULL OR namespace = ?2) AND (?3 IS NULL OR workflow = ?3) AND (?4 IS NULL OR version = ?4)
        ORDER BY number DESC LIMIT ?5
        """)
    private static let newestInState = SQL(
        """
        SELECT \(RunRecord.columns) FROM runs INDEXED BY runs_states
        WHERE state = ?1 AND namespace = ?2 AND number < ?3 AND (?4 IS NULL OR workflow = ?4) AND (?5 IS NULL OR version = ?5)
        ORDER BY number DESC LIMIT ?6
        """)
    private static let nextNamespace = SQL("SELECT min(namespace) FROM runs WHERE state = ?1 AND namespace > ?2")
    private static let firstNamespace = SQL("SELECT min(namespace) FROM runs WHERE state = ?1")
    private static let count = SQL(
        "SELECT state, count(*) FROM runs INDEXED BY runs_states WHERE ?1 IS NULL OR namespace = ?1 GROUP BY state")
    private static let open = SQL(
        """
        SELECT \(RunRecord.columns), open_requests.position, \(Event.columns)
        FROM open_requests CROSS JOIN runs ON runs.number = open_requests.run JOIN events ON events.position = open_requests.position
        WHERE open_requests.position > ?1 AND runs.state <> 'quarantined' AND (?2 IS NULL OR runs.namespace = ?2)
            AND (?3 IS NULL OR open_requests.kind = ?3)
        ORDER BY open_requests.position LIMIT ?4
        """)

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        try await read(on: browser) { session in
            let before = filter.before ?? .max
            // SQLite takes a negative limit for none.
            let limit = max(0, filter.limit)
            if !filter.labels.isEmpty { return try session.read { try Self.labelled(filter, before: before, session) } }
            guard !filter.states.isEmpty else {
                return try session.all(Self.newest, before, filter.namespace, filter.workflow, filter.version, limit) {
                    try RunRecord($0)
                }
            }
            // The index by state and namespace gives each pair in order; few pages of them merge cheaply.
            return try session.read {
                var found: [RunRecord] = []
                for state in Set(filter.states) {
                    let namespaces = try filter.namespace.map { [$0] } ?? Self.namespaces(of: state, session)
                    for namespace in namespaces {
                        found += try session.all(
                            Self.newestInState, state, namespace, before, filter.workflow, filter.version, limit
                        ) { try RunRecord($0) }
                    }
                }
                return Array(found.sorted { $0.number > $1.number }.prefix(limit))
            }
        }
    }

    private static let numbers = SQL("SELECT number FROM runs WHERE number < ?1 ORDER BY number DESC LIMIT ?2")

    package func runNumbers(before: Int64?, limit: Int) async throws(StoreError) -> [Int64] {
        try await read(on: browser) { session in
            try session.all(Self.numbers, before ?? .max, max(0, limit)) { try $0.integer(0) }
        }
    }

    private static let labelledPage = SQL(
        """
        SELECT \(RunRecord.columns) FROM labels INDEXED BY labels_values CROSS JOIN runs ON runs.number = labels.run
        WHERE labels.name = ?1 AND labels.value = ?2 AND labels.run < ?3 ORDER BY labels.run DESC LIMIT 200
        """)
    private static let labelsOfRun = SQL("SELECT name, value FROM labels WHERE run = ?1 ORDER BY name")

    /// Goes through the runs that have one of the labels, newest first, and keeps those that fit in everything else.
    private static func labelled(_ filter: RunFilter, before: Int64, _ session: Session) throws -> [RunRecord] {
        guard let first = filter.labels.min(by: { $0.key < $1.key }), filter.limit > 0 else { return [] }
        let states = Set(filter.states)
        var found: [RunRecord] = [], before = before
        while true {
            let page = try session.all(labelledPage, first.key, first.value, before) { try RunRecord($0) }
            for run in page
            where (states.isEmpty || states.contains(run.state)) && filter.namespace.map({ $0 == run.namespace }) ?? true
                && filter.workflow.map({ $0 == run.workflow }) ?? true && filter.version.map({ $0 == run.version }) ?? true
            {
                let labels = filter.labels.count == 1 ? filter.labels : try Self.labels(of: run.number, session)
                guard filter.labels.allSatisfy({ labels[$0.key] == $0.value }) else { continue }
                found.append(run)
                if found.count == filter.limit { return found }
            }
            guard let last = page.last else { return found }
            before = last.number
        }
    }

    private static func labels(of run: Int64, _ session: Session) throws -> [String: String] {
        let pairs = try session.all(labelsOfRun, run) { (try $0.text(0), try $0.text(1)) }
        return Dictionary(pairs) { first, _ in first }
    }

    package func labels(of runs: [Int64]) async throws(StoreError) -> [Int64: [String: String]] {
        try await read(on: browser) { session in
            var found: [Int64: [String: String]] = [:]
            for run in runs {
                let labels = try Self.labels(of: run, session)
                if !labels.isEmpty { found[run] = labels }
            }
            return found
        }
    }

    private static let lastSeq = SQL("SELECT seq FROM events WHERE run = ?1 ORDER BY seq DESC LIMIT 1")

    package func lastSeqs(of runs: [Int64]) async throws(StoreError) -> [Int64: Int64] {
        try await read(on: browser) { session in
            var seqs: [Int64: Int64] = [:]
            for run in runs { seqs[run] = try session.first(Self.lastSeq, run) { try $0.integer(0) } }
            return seqs
        }
    }

    /// Steps from one namespace to the next, without looking at the runs in between.
    private static func namespaces(of state: RunState, _ session: Session) throws -> [String] {
        var names: [String] = []
        var next = try session.first(firstNamespace, state) { try $0.optionalText(0) } ?? nil
        while let name = next {
            names.append(name)
            next = try session.first(nextNamespace, state, name) { try $0.optionalText(0) } ?? nil
        }
        return names
    }

    package func counts(namespace: String?) async throws(StoreError) -> [RunState: Int] {
        try await read(on: browser) { session in
            let rows = try session.all(Self.count, namespace) { (try $0.text(0), try $0.integer(1)) }
            return Dictionary(
                try rows.map { name, count in
                    guard let state = RunState(rawValue: name) else { throw BadRow("the state '\(name)' of a run is unknown") }
                    return (state, Int(count))
                }, uniquingKeysWith: +)
        }
    }

    private static let versionCounts = SQL(
        """
        SELECT workflow, version, state, count(*) FROM runs WHERE ?1 IS NULL OR namespace = ?1
        GROUP BY workflow, version, state ORDER BY workflow, version
        """)

    package func versions(namespace: String?) async throws(StoreError) -> [VersionCounts] {
        try await read(on: browser) { session in
            var versions: [VersionCounts] = []
            try session.forEach(Self.versionCounts, namespace) { row in
                let workflow = try row.text(0), version = try row.text(1), name = try row.text(2)
                guard let state = RunState(rawValue: name) else { throw BadRow("the state '\(name)' of a run is unknown") }
                if versions.last?.workflow != workflow || versions.last?.version != version {
                    versions.append(VersionCounts(workflow: workflow, version: version, runs: [:]))
                }
                versions[versions.count - 1].runs[state] = Int(try row.integer(3))
                return true
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
