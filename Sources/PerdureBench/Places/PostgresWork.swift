struct PostgresWork: StoredWork {
    private let server: PlainServer
    private static let input = "convert_from(starts.input, 'UTF8')::jsonb"
    private static let measured = """
        workflow = $1 AND number NOT IN
            (SELECT run FROM perdure.events WHERE seq = 1 AND position(convert_to('"run":-', 'UTF8') in input) > 0)
        """

    init(_ url: String) throws { server = try PlainServer(url) }

    func runs(in state: String) throws -> Int {
        try server.integer("SELECT count(*) FROM perdure.runs WHERE state = $1", state)
    }

    func openRuns() throws -> Int { try server.integer("SELECT count(*) FROM perdure.runs WHERE closed_at IS NULL") }

    func completed(_ workflow: String) throws -> Int {
        try server.integer("SELECT count(*) FROM perdure.runs WHERE state = 'completed' AND \(Self.measured)", workflow)
    }

    func succeeded(_ workflow: String) throws -> Int {
        try server.integer(
            """
            SELECT count(*) FROM perdure.events
            WHERE kind = 'step.succeeded' AND run IN (SELECT number FROM perdure.runs WHERE \(Self.measured))
            """, workflow)
    }

    func succeededSteps() throws -> Set<StepPlace> {
        let rows = try server.rows(
            """
            SELECT \(Self.input)->>'run', convert_from(steps.input, 'UTF8') FROM perdure.events steps
            JOIN perdure.events starts ON starts.run = steps.run AND starts.seq = 1 WHERE steps.kind = 'step.succeeded'
            """)
        return Set(
            rows.compactMap { row in
                guard let run = Int(row[0]), let step = Int(row[1]) else { return nil }
                return StepPlace(run: run, step: step)
            })
    }

    func timersDue() throws -> [(run: Int, due: Double)] {
        try server.rows(
            """
            SELECT \(Self.input)->>'run', timers.attributes::jsonb->>'due' FROM perdure.events timers
            JOIN perdure.events starts ON starts.run = timers.run AND starts.seq = 1 WHERE timers.kind = 'timer.started'
            """
        ).compactMap { row in
            guard let run = Int(row[0]), let due = Double(row[1]) else { return nil }
            return (run, due)
        }
    }

    func bytesOnDisk() throws -> Int { try server.bytesOnDisk(schema: "perdure") }

    func reopen(_ workflow: String) throws {
        try server.run("UPDATE perdure.runs SET closed_at = NULL, state = 'waiting' WHERE workflow = '\(workflow)'")
    }
}
