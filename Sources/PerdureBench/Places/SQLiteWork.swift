import Foundation

struct SQLiteWork: StoredWork {
    private let path: String
    private let file: PlainDatabase
    private static let measured =
        "workflow = ?1 AND number NOT IN (SELECT run FROM events WHERE seq = 1 AND input LIKE '%\"run\":-%')"

    init(_ path: String) throws {
        self.path = path
        file = try PlainDatabase(path, readOnly: true)
    }

    func runs(in state: String) throws -> Int {
        try file.prepare("SELECT count(*) FROM runs WHERE state = ?1").integer(.text(state))
    }

    func openRuns() throws -> Int { try file.integer("SELECT count(*) FROM runs WHERE closed_at IS NULL") }

    func completed(_ workflow: String) throws -> Int {
        try file.prepare("SELECT count(*) FROM runs WHERE state = 'completed' AND \(Self.measured)").integer(.text(workflow))
    }

    func succeeded(_ workflow: String) throws -> Int {
        try file.prepare(
            "SELECT count(*) FROM events WHERE kind = 'step.succeeded' AND run IN (SELECT number FROM runs WHERE \(Self.measured))"
        ).integer(.text(workflow))
    }

    func succeededSteps() throws -> Set<StepPlace> {
        var places: Set<StepPlace> = []
        try file.prepare(
            """
            SELECT json_extract(starts.input, '$.run'), CAST(steps.input AS INTEGER)
            FROM events steps JOIN events starts ON starts.run = steps.run AND starts.seq = 1 WHERE steps.kind = 'step.succeeded'
            """
        ).forEach { row in places.insert(StepPlace(run: Int(row.integer(at: 0)), step: Int(row.integer(at: 1)))) }
        return places
    }

    func timersDue() throws -> [(run: Int, due: Double)] {
        var timers: [(run: Int, due: Double)] = []
        try file.prepare(
            """
            SELECT json_extract(starts.input, '$.run'), json_extract(timers.attributes, '$.due')
            FROM events timers JOIN events starts ON starts.run = timers.run AND starts.seq = 1 WHERE timers.kind = 'timer.started'
            """
        ).forEach { row in timers.append((Int(row.integer(at: 0)), Double(row.integer(at: 1)))) }
        return timers
    }

    /// The size of the file, with everything in the log put into it.
    func bytesOnDisk() throws -> Int {
        try PlainDatabase(path).run("PRAGMA wal_checkpoint(TRUNCATE)")
        return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    func reopen(_ workflow: String) throws {
        try PlainDatabase(path).run("UPDATE runs SET closed_at = NULL, state = 'waiting' WHERE workflow = '\(workflow)'")
    }

    /// Copies the file of a process that was killed, so that what the next process finds is what it has left.
    static func copy(_ path: String, to copy: String) throws -> SQLiteWork {
        for end in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + end, toPath: copy + end) }
        // Whoever reads a log for the first time has to write.
        _ = try PlainDatabase(copy).integer("SELECT count(*) FROM runs")
        return try SQLiteWork(copy)
    }
}
