internal import GRDBSQLite

/// Says what an author's SQL may do on a connection of the store, and for how long. SQLite asks it whenever a statement is prepared; it has
/// something to say only while the connection is lent.
final class AuthorGuard {
    private var deadline: ContinuousClock.Instant?

    /// The names of everything that the schema has, in lower case.
    private static let names: Set<String> = {
        let created = #/CREATE (?:UNIQUE )?(?:TABLE|INDEX) (\w+)/#
        return Set(Schema.migrations.flatMap { $0.matches(of: created).map { $0.output.1.lowercased() } })
    }()

    /// How many instructions SQLite executes between two looks at the time.
    private static let interval: Int32 = 1_000

    func lend(_ handle: OpaquePointer, for limit: Duration) {
        deadline = ContinuousClock.now + limit
        sqlite3_progress_handler(
            handle, Self.interval,
            { context in
                context.map { Unmanaged<AuthorGuard>.fromOpaque($0).takeUnretainedValue().isLate ? 1 : 0 } ?? 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func takeBack(_ handle: OpaquePointer) {
        deadline = nil
        sqlite3_progress_handler(handle, 0, nil, nil)
    }

    /// In place of whatever else is asked on this connection, for as long as it lives.
    func install(on handle: OpaquePointer) {
        sqlite3_set_authorizer(
            handle,
            { context, action, first, second, _, _ in
                guard let context else { return SQLITE_OK }
                let author = Unmanaged<AuthorGuard>.fromOpaque(context).takeUnretainedValue()
                guard author.deadline != nil else { return SQLITE_OK }
                let names = [first, second].map { $0.map { String(cString: $0) } }
                return AuthorGuard.allows(action, names[0] ?? "", names[1] ?? "") ? SQLITE_OK : SQLITE_DENY
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    static func remove(from handle: OpaquePointer) { sqlite3_set_authorizer(handle, nil, nil) }

    private var isLate: Bool { deadline.map { ContinuousClock.now >= $0 } ?? false }

    /// - Parameters: what SQLite tells of the action; which of the two names is a table depends on it.
    static func allows(_ action: Int32, _ first: String, _ second: String) -> Bool {
        switch action {
        case SQLITE_SELECT, SQLITE_RECURSIVE: true
        case SQLITE_FUNCTION: second.lowercased() != "load_extension"
        case SQLITE_READ: !isOurs(first)
        case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE: !isOurs(first) && mayWrite(first)
        case SQLITE_CREATE_TABLE, SQLITE_CREATE_VIEW, SQLITE_DROP_TABLE, SQLITE_DROP_VIEW: !isOurs(first)
        case SQLITE_CREATE_INDEX, SQLITE_CREATE_TRIGGER, SQLITE_DROP_INDEX, SQLITE_DROP_TRIGGER:
            !isOurs(first) && !isOurs(second)
        case SQLITE_ALTER_TABLE: !isOurs(second)
        // Asked for every index that is made, too.
        case SQLITE_REINDEX: !isOurs(first)
        // Transactions, savepoints, other files, settings, temporary things that could stand in front of ours, statistics, virtual tables
        // (making one changes settings).
        default: false
        }
    }

    private static func isOurs(_ name: String) -> Bool {
        let name = name.lowercased()
        return names.contains(name) || name.hasPrefix("perdure_")
    }

    /// SQLite itself writes the schema when a table is made. Its other tables decide about ours too. Renaming something and dropping a
    /// column fail here: SQLite writes the temporary schema then, and reads every index that there is, ours among them.
    private static func mayWrite(_ name: String) -> Bool {
        let name = name.lowercased()
        return !name.hasPrefix("sqlite_") || name == "sqlite_master" || name == "sqlite_schema"
    }
}
