import Foundation
import GRDBSQLite

/// In an SQLite file: values bound without copies, every statement prepared once.
final class HandWrittenSQLite: HandWritten {
    private let path: String
    private let database: PlainDatabase
    private let template: RunTemplate
    private let begin: PlainStatement, end: PlainStatement
    private let insertRun: PlainStatement, insertEvent: PlainStatement
    private let moveRun: PlainStatement, insertMessage: PlainStatement, readMessages: PlainStatement
    private let id = UnsafeMutableRawBufferPointer.allocate(byteCount: 36, alignment: 8)
    private let completed = StaticText("completed"), waiting = StaticText("waiting"), running = StaticText("running")

    private static let schema = """
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
        self.path = path
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

    func create(_ run: Int) throws {
        insertRun.bind(1, Int64(run))
        insertRun.bindText(2, identifier(run))
        for (index, cell) in zip(Int32(3)..., template.run) { insertRun.bind(index, cell) }
        insertRun.bindText(9, running.bytes)
        insertRun.bindNull(15)
        try insertRun.execute()
        try append(run, 1)
    }

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

    /// The size of the file, with everything in the log put into it.
    func bytesOnDisk() throws -> Int {
        try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    func completedRuns() throws -> Int { try database.integer("SELECT count(*) FROM runs WHERE state = 'completed'") }
    func eventCount() throws -> Int { try database.integer("SELECT count(*) FROM events") }

    static func resume(_ path: String) throws -> ResumedByHand {
        let file = try PlainDatabase(path)
        try file.setUp()
        let histories = try file.prepare(
            "SELECT events.* FROM runs CROSS JOIN events ON events.run = runs.number WHERE runs.closed_at IS NULL ORDER BY events.run, events.seq"
        )
        var runs: [Int64] = [], bytes = 0
        try histories.forEach { row in
            let run = row.integer(at: 1)
            if runs.last != run { runs.append(run) }
            for column in Int32(2)..<14 { bytes += row.text(at: column).utf8.count }
        }
        let columns = "kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash"
        let append = try file.prepare(
            "INSERT INTO events (run, seq, at, \(columns)) SELECT run, seq + 1, at, \(columns) FROM events WHERE run = ?1 ORDER BY seq DESC LIMIT 1"
        )
        try file.run("BEGIN IMMEDIATE")
        for run in runs {
            append.bind(1, run)
            try append.execute()
        }
        try file.run("COMMIT")
        return ResumedByHand(runs: runs.count, bytes: bytes)
    }

    static func start(_ path: String) throws {
        let file = try PlainDatabase(path)
        try file.setUp()
        try file.run(schema)
        try file.run(
            """
            INSERT INTO events (run, seq, at, kind, subject, attributes, codec, hash)
            VALUES (1, 1, 1, 'run.started', '', '', 1, zeroblob(32))
            """)
    }

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
