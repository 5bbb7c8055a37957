internal import Perdure
internal import PerdureHistory
internal import PerdureStore

/// What is looked at and set when a file is opened.
enum Opening {
    private static let applicationID = SQL("PRAGMA application_id")
    private static let userVersion = SQL("PRAGMA user_version")
    private static let journalMode = SQL("PRAGMA journal_mode = WAL")
    private static let anyTable = SQL("SELECT 1 FROM sqlite_schema LIMIT 1")
    private static let selectIdentity = SQL("SELECT value FROM meta WHERE name = 'identity'")
    private static let selectOldest = SQL("SELECT value FROM meta WHERE name = 'oldest_compatible_schema'")
    private static let putOldest = SQL("INSERT OR REPLACE INTO meta (name, value) VALUES ('oldest_compatible_schema', ?1)")
    private static let insertIdentity = SQL("INSERT INTO meta (name, value) VALUES ('identity', ?1)")

    /// Refuses files of others and of the future, before anything in them is changed.
    /// - Returns: whether the file holds a store; false for an empty database.
    static func check(_ session: Session, path: String) throws -> Bool {
        let application = try session.first(applicationID) { try $0.integer(0) } ?? 0
        if application == 0, try !session.exists(anyTable) { return false }
        guard application == Schema.applicationID else {
            throw StoreError.unusable(.storeNotOurs, "\(path) is the database of another application. Use another file.")
        }
        let version = try version(session)
        guard version >= 0 else { throw StoreError.corrupt("\(path) has schema \(version). Restore it from a backup.") }
        guard try version <= Schema.version || isCompatible(session) else {
            throw StoreError.unusable(
                .storeTooNew, "\(path) has schema \(version), this program knows up to \(Schema.version). Use a newer release.")
        }
        return true
    }

    /// Whether a later release that has migrated the file still lets this one use it. Migrations expand before they contract, so
    /// that two releases can run side by side.
    private static func isCompatible(_ session: Session) throws -> Bool {
        let oldest = try session.first(selectOldest) { Int64(try $0.text(0)) } ?? nil
        return oldest.map { $0 <= Schema.version } ?? false
    }

    /// A client changes no schema: the engine that uses the file may be running.
    static func checkIsCurrent(_ session: Session, path: String) throws {
        let version = try version(session)
        guard version >= Schema.version else {
            throw StoreError.unavailable(
                "\(path) has schema \(version), this program needs \(Schema.version). Start an engine of this release with it once."
            )
        }
    }

    /// Settings that belong to a connection, or to the file for good.
    static func setUp(_ session: Session, _ options: SQLiteOptions) throws {
        // To its end: it is committed after its answer was given, and without a log commits would not be sure to stay.
        let mode = try session.all(journalMode) { try $0.text(0) }.last
        guard mode == "wal" else {
            throw StoreError.unavailable("the file cannot be given a write-ahead log; put it on a local disk.")
        }
        // Every commit reaches the disk before it returns.
        try session.run("PRAGMA synchronous = FULL")
        // A checkpoint every 16 MB: whoever opens the file after a death has to read the log whole, before anything else can be done. A log
        // that a long reader let grow beyond 64 MB is cut back to that.
        try session.run("PRAGMA wal_autocheckpoint = 4000")
        try session.run("PRAGMA journal_size_limit = 67108864")
        try session.run("PRAGMA cache_size = -16384")
        try session.run("PRAGMA temp_store = MEMORY")
        if let limit = options.pageLimit { try session.run("PRAGMA max_page_count = \(limit)") }
    }

    /// Brings the schema up to date, in one transaction.
    static func migrate(_ session: Session, path: String, identity: String) throws {
        try session.write {
            // Again, now that nobody else can change it.
            let holdsStore = try check(session, path: path)
            let version = holdsStore ? try version(session) : 0
            guard version < Schema.version else { return }
            // A row that is damaged stays as it is, and is dealt with where it is read: it must not keep the others from being opened.
            try session.run("PRAGMA ignore_check_constraints = ON")
            for migration in Schema.migrations.dropFirst(Int(version)) { try session.run(migration) }
            try session.run("PRAGMA ignore_check_constraints = OFF")
            if version == 0 { try session.execute(insertIdentity, identity) }
            try demand(schema: Schema.oldestCompatible, session)
            try session.run("PRAGMA application_id = \(Schema.applicationID)")
            try session.run("PRAGMA user_version = \(Schema.version)")
        }
    }

    /// Closes the file to releases that know no schema as late as this. It stays closed to those that it is closed to.
    static func demand(schema: Int64, _ session: Session) throws {
        let oldest = try session.first(selectOldest) { Int64(try $0.text(0)) } ?? nil
        if oldest.map({ $0 < schema }) ?? true { try session.execute(putOldest, String(schema)) }
    }

    static func identity(_ session: Session, path: String) throws -> String {
        guard let identity = try session.first(selectIdentity, row: { try $0.text(0) }) else {
            throw StoreError.corrupt("\(path) does not say its own identity. Restore it from a backup.")
        }
        return identity
    }

    private static func version(_ session: Session) throws -> Int64 {
        try session.first(userVersion) { try $0.integer(0) } ?? 0
    }
}
