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
        SELECT \(RunRecord.columns), \(Event.columns)
        FROM open_requests CROSS JOIN runs ON runs.number = open_requests.run JOIN events ON events.position = open_requests.position
        WHERE runs.state <> 'quarantined' AND (?1 IS NULL OR runs.namespace = ?1) ORDER BY open_requests.position LIMIT ?2
        """)

    package func runs(_ filter: RunFilter) async throws(StoreError) -> [RunRecord] {
        try await read(on: browser) { session in
            let before = filter.before ?? .max
            // SQLite takes a negative limit for none.
            let limit = max(0, filter.limit)
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

    package func openRequests(namespace: String?, limit: Int) async throws(StoreError) -> [OpenRequest] {
        try await read(on: browser) { session in
            try session.all(Self.open, namespace, max(0, limit)) { row in
                let run = try RunRecord(row)
                return OpenRequest(run: run, event: try Event(row, run: run.number, from: RunRecord.columnCount))
            }
        }
    }
}
