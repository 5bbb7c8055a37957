import GRDBSQLite
import Perdure

/// One finished run of the engine, as it is stored.
final class RunTemplate {
    /// From `namespace` to `note`.
    let run: [StoredCell]
    /// From `at` to `hash`, for each event in order.
    let events: [[StoredCell]]

    /// Takes the last run of a workflow in the file.
    init<W: Workflow>(_ path: String, _ type: W.Type) throws {
        let database = try PlainDatabase(path, readOnly: true)
        let number = try database.prepare("SELECT max(number) FROM runs WHERE workflow = ?1").integer(.text(W.name))
        var run: [StoredCell] = [], events: [[StoredCell]] = []
        let runs = try database.prepare(
            """
            SELECT namespace, workflow, version, key, input_digest, salt, state, epoch, owner, wake_at, since, created_at, closed_at,
                note FROM runs WHERE number = ?1
            """)
        try runs.forEach(.integer(Int64(number))) { row in run = (0..<14).map { row.value(at: $0) } }
        let history = try database.prepare(
            """
            SELECT at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash FROM events
            WHERE run = ?1 ORDER BY seq
            """)
        try history.forEach(.integer(Int64(number))) { row in events.append((0..<11).map { row.value(at: $0) }) }
        try BenchError.check(!run.isEmpty && !events.isEmpty, "there is no run of \(W.name) to take the rows of")
        self.run = run
        self.events = events
    }
}
