import GRDBSQLite
import Perdure

/// One finished run of the engine, as it is stored.
struct RunTemplate {
    /// From `namespace` to `note`.
    private(set) var run: [StoredCell] = []
    /// From `at` to `hash`, for each event in order.
    private(set) var events: [[StoredCell]] = []

    private static let runColumns = """
        namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at, since, created_at, closed_at, note
        """
    private static let eventColumns = """
        at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash
        """

    /// Takes the last run of a workflow in the store.
    init<W: Workflow>(_ place: BenchPlace, _ type: W.Type) throws {
        switch place {
        case .file(let path): try read(PlainDatabase(path, readOnly: true), W.name)
        case .database(let url): try read(PlainServer(url), W.name)
        }
        try BenchError.check(!run.isEmpty && !events.isEmpty, "there is no run of \(W.name) to take the rows of")
    }

    private mutating func read(_ database: PlainDatabase, _ workflow: String) throws {
        let number = Int64(try database.prepare("SELECT max(number) FROM runs WHERE workflow = ?1").integer(.text(workflow)))
        try database.prepare("SELECT \(Self.runColumns) FROM runs WHERE number = ?1").forEach(.integer(number)) { row in
            run = (0..<14).map { row.value(at: $0) }
        }
        try database.prepare("SELECT \(Self.eventColumns) FROM events WHERE run = ?1 ORDER BY seq").forEach(.integer(number)) {
            row in
            events.append((0..<11).map { row.value(at: $0) })
        }
    }

    /// Every value in the form in which the server takes it again.
    private mutating func read(_ server: PlainServer, _ workflow: String) throws {
        let number = try server.integer("SELECT max(number) FROM perdure.runs WHERE workflow = $1", workflow)
        run = try server.cells("SELECT \(Self.runColumns) FROM perdure.runs WHERE number = \(number)").first ?? []
        events = try server.cells("SELECT \(Self.eventColumns) FROM perdure.events WHERE run = \(number) ORDER BY seq")
    }
}
