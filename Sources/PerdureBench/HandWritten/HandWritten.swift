/// The same rows as the engine's, written by a program that knows nothing but them.
///
/// What it writes are the very bytes of a history that the engine has made, under other run numbers. The layout is the best that is
/// known: events appended in order, a narrow unique index, prepared statements, one transaction for as many rows as the caller says.
/// Its `runs` table has only the indexes that its own work needs. Hashes are stored, not computed.
protocol HandWritten {
    /// What the body writes becomes durable together.
    func transaction(_ body: () throws -> Void) throws
    /// The run's row and its first event.
    func create(_ run: Int) throws
    /// The event with this number in the history of the template.
    func append(_ run: Int, _ seq: Int) throws
    func complete(_ run: Int) throws
    func wait(_ run: Int) throws
    /// Puts a message into the run's inbox.
    func deliver(_ run: Int) throws
    func readInbox(_ run: Int) throws

    func completedRuns() throws -> Int
    func eventCount() throws -> Int
    /// What the tables and their indexes take, once everything is where it belongs.
    func bytesOnDisk() throws -> Int
}

/// What the hand-written program has read of histories that have no end.
struct ResumedByHand {
    var runs = 0
    var bytes = 0
}

extension BenchPlace {
    /// Reads every history that has no end, from the hand-written tables or the engine's own, and adds an event to each.
    func resumeByHand() throws -> ResumedByHand {
        switch self {
        case .file(let path): try HandWrittenSQLite.resume(path)
        case .database(let url): try HandWrittenPostgres.resume(url)
        }
    }

    /// Makes the hand-written tables, and writes one event.
    func startByHand() throws {
        switch self {
        case .file(let path): try HandWrittenSQLite.start(path)
        case .database(let url): try HandWrittenPostgres.start(url)
        }
    }
}
