/// In a PostgreSQL database: the rows of a transaction are gathered and sent as arrays, with BEGIN and COMMIT in one round trip; a
/// transaction of one row is a plain statement.
final class HandWrittenPostgres: HandWritten {
    private let server: PlainServer
    private let template: RunTemplate
    private let runs = Rows(HandWrittenPostgres.runTypes), events = Rows(HandWrittenPostgres.eventTypes)
    private let moved = Rows([.int8, .text]), delivered = Rows([.int8]), read = Rows([.int8])
    private let completed = StaticText("completed"), waiting = StaticText("waiting"), running = StaticText("running")

    private static let runTypes: [ServerType] = [
        .int8, .uuid, .text, .text, .text, .text, .text, .bytea, .text, .int8, .text, .int8, .int8, .int8, .int8, .text,
    ]
    private static let eventTypes: [ServerType] = [
        .int8, .int8, .int8, .text, .text, .text, .bytea, .int8, .bytea, .int8, .int8, .text, .bytea,
    ]

    private static let schema = """
        CREATE TABLE runs (
            number bigint PRIMARY KEY, id uuid NOT NULL UNIQUE, namespace text NOT NULL, workflow text NOT NULL,
            version text NOT NULL, key text, input_digest text NOT NULL, salt bytea NOT NULL, state text NOT NULL,
            epoch bigint NOT NULL, owner text, wake_at bigint, since bigint NOT NULL, created_at bigint NOT NULL,
            closed_at bigint, note text
        ) WITH (fillfactor = 80);
        CREATE TABLE events (
            run bigint NOT NULL, seq bigint NOT NULL, at bigint NOT NULL, kind text NOT NULL, subject text NOT NULL,
            attributes text NOT NULL, input bytea, input_size bigint, output bytea, output_size bigint,
            codec bigint NOT NULL, key_id text, hash bytea NOT NULL, PRIMARY KEY (run, seq)
        );
        CREATE TABLE inbox (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run bigint NOT NULL, delivery_id text NOT NULL, at bigint NOT NULL,
            kind text NOT NULL, name text NOT NULL, payload bytea, sender text NOT NULL, consumed boolean NOT NULL DEFAULT false
        );
        CREATE UNIQUE INDEX inbox_deliveries ON inbox (run, delivery_id)
        """

    init(_ url: String, _ template: RunTemplate) throws {
        server = try PlainServer(url)
        self.template = template
        try server.run(Self.schema)
        try prepare("runs", "INSERT INTO runs SELECT * FROM unnest($)", Self.runTypes)
        try prepare("events", "INSERT INTO events SELECT * FROM unnest($)", Self.eventTypes)
        try server.prepare(
            "event", "INSERT INTO events VALUES (\(Self.places(Self.eventTypes.count)))", Self.eventTypes.map(\.rawValue))
        try prepare(
            "moved",
            """
            UPDATE runs SET state = moved.state, owner = NULL, since = 1800000000000000,
                closed_at = CASE WHEN moved.state = 'completed' THEN 1800000000000000 END
            FROM unnest($) AS moved(number, state) WHERE runs.number = moved.number
            """, [.int8, .text])
        try prepare(
            "delivered",
            """
            INSERT INTO inbox (run, delivery_id, at, kind, name, payload, sender)
            SELECT run, run::text, 1800000000000000, 'signal', 'go', '1', 'system:bench' FROM unnest($) AS delivered(run)
            """, [.int8])
        try prepare(
            "read", "UPDATE inbox SET consumed = true, payload = NULL WHERE run = ANY($) AND NOT consumed", [.int8])
    }

    /// With an array for each column where the text has its place.
    private func prepare(_ name: String, _ sql: String, _ types: [ServerType]) throws {
        try server.prepare(name, sql.replacing("$", with: Self.places(types.count)), types.map(\.array))
    }

    private static func places(_ count: Int) -> String { (1...count).map { "$\($0)" }.joined(separator: ", ") }

    func transaction(_ body: () throws -> Void) throws {
        let all = [("runs", runs), ("events", events), ("delivered", delivered), ("read", read), ("moved", moved)]
        for (_, rows) in all { rows.removeAll() }
        try body()
        let calls = all.filter { $0.1.count > 0 }
        if calls.count == 1, events.count == 1 {
            try server.execute([PreparedCall(name: "event", values: events.singles)])
        } else {
            try server.execute(calls.map { PreparedCall(name: $0.0, values: $0.1.arrays) })
        }
    }

    func create(_ run: Int) throws {
        let columns = runs.columns
        columns[0].append(Int64(run))
        withUnsafeBytes(of: (Int64(run).bigEndian, Int64(run).bigEndian)) { columns[1].append($0) }
        for (index, cell) in template.run.enumerated() {
            switch index {
            case 6: columns[8].append(running.bytes)
            case 12: columns[14].append(.null)
            default: columns[index + 2].append(cell)
            }
        }
        try append(run, 1)
    }

    func append(_ run: Int, _ seq: Int) throws {
        events.columns[0].append(Int64(run))
        events.columns[1].append(Int64(seq))
        for (column, cell) in zip(events.columns.dropFirst(2), template.events[seq - 1]) { column.append(cell) }
    }

    func complete(_ run: Int) throws { move(run, completed) }
    func wait(_ run: Int) throws { move(run, waiting) }

    private func move(_ run: Int, _ state: StaticText) {
        moved.columns[0].append(Int64(run))
        moved.columns[1].append(state.bytes)
    }

    func deliver(_ run: Int) throws { delivered.columns[0].append(Int64(run)) }
    func readInbox(_ run: Int) throws { read.columns[0].append(Int64(run)) }

    func completedRuns() throws -> Int { try server.integer("SELECT count(*) FROM runs WHERE state = 'completed'") }
    func eventCount() throws -> Int { try server.integer("SELECT count(*) FROM events") }
    func bytesOnDisk() throws -> Int { try server.bytesOnDisk(schema: "public") }

    static func resume(_ url: String) throws -> ResumedByHand {
        let server = try PlainServer(url)
        // The engine's own tables, where there are any.
        try server.run("SET search_path = perdure, public")
        var resumed = ResumedByHand(), last: Int64?
        try server.stream(
            """
            SELECT events.* FROM runs JOIN events ON events.run = runs.number WHERE runs.closed_at IS NULL
            ORDER BY events.run, events.seq
            """
        ) { run, bytes in
            if last != run { resumed.runs += 1 }
            last = run
            resumed.bytes += bytes
        }
        let columns = "at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash"
        try server.run(
            """
            INSERT INTO events (run, seq, \(columns)) SELECT run, seq + 1, \(columns) FROM runs CROSS JOIN LATERAL
                (SELECT * FROM events WHERE run = runs.number ORDER BY seq DESC LIMIT 1) AS latest WHERE runs.closed_at IS NULL
            """)
        return resumed
    }

    static func start(_ url: String) throws {
        let server = try PlainServer(url)
        try server.run(schema)
        try server.run(
            """
            INSERT INTO events (run, seq, at, kind, subject, attributes, codec, hash)
            VALUES (1, 1, 1, 'run.started', '', '', 1, decode(repeat('00', 32), 'hex'))
            """)
    }
}

/// Rows that are gathered, column by column.
private final class Rows {
    let columns: [ServerColumn]

    init(_ types: [ServerType]) { columns = types.map(ServerColumn.init) }

    var count: Int { columns.first?.count ?? 0 }
    var arrays: [UnsafeRawBufferPointer] { columns.map(\.array) }
    /// Of the only row.
    var singles: [UnsafeRawBufferPointer] { columns.map(\.single) }

    func removeAll() { for column in columns { column.removeAll() } }
}
