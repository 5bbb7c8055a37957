import GRDBSQLite

/// The same rows as the engine's, written by a program that knows nothing but them.
///
/// What it writes are the very bytes of a history that the engine has made, under other run numbers. The layout is the best that is
/// known: events appended in order, a narrow unique index, prepared statements, values bound without copies, one transaction for as
/// many rows as the caller says. Its `runs` table has only the indexes that its own work needs. Hashes are stored, not computed.
final class HandWritten {
    private let database: PlainDatabase
    private let template: RunTemplate
    private let begin: PlainStatement, end: PlainStatement
    private let insertRun: PlainStatement, insertEvent: PlainStatement
    private let moveRun: PlainStatement, insertMessage: PlainStatement, readMessages: PlainStatement
    private let id = UnsafeMutableRawBufferPointer.allocate(byteCount: 36, alignment: 8)
    private let completed = StaticText("completed"), waiting = StaticText("waiting"), running = StaticText("running")

    static let schema = """
        CREATE TABLE runs (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL, workflow TEXT NOT NULL,
            version TEXT NOT NULL, key TEXT, input_digest TEXT NOT NULL, salt BLOB NOT NULL, state TEXT NOT NULL,
            epoch INTEGER NOT NULL, owner TEXT, wake_at INTEGER, since INTEGER NOT NULL, created_at INTEGER NOT NULL,
            closed_at INTEGER, note TEXT
        ) STRICT;
        CREATE TABLE events (
            position INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
            subject TEXT NOT NULL, attributes TEXT NOT NULL, input ANY, input_size INTEGER, output ANY, output_size INTEGER,
            codec INTEGER NOT NULL, key_id TEXT, hash BLOB NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX events_places ON events (run, seq);
        CREATE TABLE inbox (
            number INTEGER PRIMARY KEY, run INTEGER NOT NULL, delivery_id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
            name TEXT NOT NULL, payload ANY, sender TEXT NOT NULL, consumed INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE UNIQUE INDEX inbox_deliveries ON inbox (run, delivery_id);
        """

    init(_ path: String, _ template: RunTemplate) throws {
        let database = try PlainDatabase(path)
        try database.setUp()
        try database.run(Self.schema)
        self.database = database
        self.template = template
        begin = try database.prepare("BEGIN IMMEDIATE")
        end = try database.prepare("COMMIT")
        insertRun = try database.prepare(
            "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)")
        insertEvent = try database.prepare(
            """
            INSERT INTO events (run, seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            """)
        moveRun = try database.prepare(
            "UPDATE runs SET state = ?2, owner = NULL, since = ?3, closed_at = CASE WHEN ?2 = 'completed' THEN ?3 END WHERE number = ?1"
        )
        insertMessage = try database.prepare(
            "INSERT INTO inbox (run, delivery_id, at, kind, name, payload, sender) VALUES (?1, ?2, ?3, 'signal', 'go', '1', 'system:bench')"
        )
        readMessages = try database.prepare("UPDATE inbox SET consumed = 1, payload = NULL WHERE run = ?1 AND consumed = 0")
    }

    deinit { id.deallocate() }

    func transaction(_ body: () throws -> Void) throws {
        try begin.execute()
        try body()
        try end.execute()
    }

    /// The run's row and its first event.
    func create(_ run: Int) throws {
        insertRun.bind(1, Int64(run))
        insertRun.bindText(2, identifier(run))
        for (index, cell) in zip(Int32(3)..., template.run) { insertRun.bind(index, cell) }
        insertRun.bindText(9, running.bytes)
        insertRun.bindNull(15)
        try insertRun.execute()
        try append(run, 1)
    }

    /// The event with this number in the history of the template.
    func append(_ run: Int, _ seq: Int) throws {
        insertEvent.bind(1, Int64(run))
        insertEvent.bind(2, Int64(seq))
        for (index, cell) in zip(Int32(3)..., template.events[seq - 1]) { insertEvent.bind(index, cell) }
        try insertEvent.execute()
    }

    func complete(_ run: Int) throws { try move(run, completed) }
    func wait(_ run: Int) throws { try move(run, waiting) }

    private func move(_ run: Int, _ state: StaticText) throws {
        moveRun.bind(1, Int64(run))
        moveRun.bindText(2, state.bytes)
        moveRun.bind(3, 1_800_000_000_000_000)
        try moveRun.execute()
    }

    /// Puts a message into the run's inbox.
    func deliver(_ run: Int) throws {
        insertMessage.bind(1, Int64(run))
        insertMessage.bindText(2, identifier(run))
        insertMessage.bind(3, 1_800_000_000_000_000)
        try insertMessage.execute()
    }

    func readInbox(_ run: Int) throws {
        readMessages.bind(1, Int64(run))
        try readMessages.execute()
    }

    /// Puts everything into the file itself.
    func checkpoint() throws { try database.run("PRAGMA wal_checkpoint(TRUNCATE)") }

    func completedRuns() throws -> Int { try database.integer("SELECT count(*) FROM runs WHERE state = 'completed'") }
    func eventCount() throws -> Int { try database.integer("SELECT count(*) FROM events") }

    /// A text of 36 bytes that is larger for a later run, as the engine's ids are.
    private func identifier(_ run: Int) -> UnsafeRawBufferPointer {
        var rest = run
        for index in stride(from: 35, through: 0, by: -1) {
            id[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        return UnsafeRawBufferPointer(id)
    }
}

/// Text that stays where it is.
struct StaticText {
    let bytes: UnsafeRawBufferPointer
    init(_ text: StaticString) { bytes = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount) }
}
