internal import Foundation
internal import Perdure
internal import PerdureStore

/// What is looked at and changed when a store is opened.
enum Migration {
    /// It keeps two processes from migrating at once, and others from nothing.
    private static let lock = AdvisoryLock.migration.take
    private static let metaExists = SQL(
        "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = '\(Schema.name)' AND tablename = 'meta'")
    private static let schemaExists = SQL("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '\(Schema.name)'")
    private static let anyTable = SQL("SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = '\(Schema.name)' LIMIT 1")
    private static let value = SQL("SELECT value FROM perdure.meta WHERE name = $1::text")
    private static let put = SQL(
        """
        INSERT INTO perdure.meta (name, value) VALUES ($1::text, $2::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value
        """)
    private static let meta = """
        CREATE TABLE perdure.meta (
            name text COLLATE "C" PRIMARY KEY,
            value text NOT NULL
        )
        """

    /// Refuses schemas of others and of the future.
    /// - Returns: the version of what is there; nil if there is nothing.
    static func check(_ session: Session, _ address: ServerAddress) throws -> Int64? {
        guard try session.exists(metaExists) else {
            if try session.exists(anyTable) {
                throw StoreError.unusable(
                    .storeNotOurs,
                    "\(address) has a schema '\(Schema.name)' that belongs to another application. Use another database.")
            }
            return nil
        }
        guard let version = try session.first(value, "schema", row: { Int64(try $0.text(0)) }) ?? nil, version > 0 else {
            throw StoreError.corrupt("\(address) does not say which schema it has. Restore it from a backup.")
        }
        // Migrations expand before they contract, so that two releases can run side by side.
        let oldest = try oldestCompatible(session)
        guard version <= Schema.version || oldest.map({ $0 <= Schema.version }) ?? false else {
            throw StoreError.unusable(
                .storeTooNew,
                "\(address) has schema \(version), this program knows up to \(Schema.version). Use a newer release.")
        }
        return version
    }

    /// A client changes no schema: the engines that use it may be running.
    static func checkIsCurrent(_ session: Session, _ address: ServerAddress) throws {
        guard let version = try check(session, address) else {
            throw StoreError.unusable(.storeMissing, "\(address) holds no store yet. Start an engine with it first.")
        }
        guard version >= Schema.version else {
            throw StoreError.unavailable(
                "\(address) has schema \(version), this program needs \(Schema.version). Start an engine of this release with it once."
            )
        }
    }

    /// Brings the schema up to date, in one transaction. Of several processes that start at once, one does it.
    static func run(_ session: Session, _ address: ServerAddress) throws {
        if let version = try check(session, address), version >= Schema.version { return }
        try session.transaction {
            // Whoever is at it may take long. Tables are waited for no longer than by anybody else, who would wait behind us.
            try session.run("SET LOCAL lock_timeout = '25s'")
            _ = try session.exists(lock)
            try session.run("SET LOCAL lock_timeout = '3s'")
            // Again, now that nobody else can change it.
            let version = try check(session, address) ?? 0
            guard version < Schema.version else { return }
            if version == 0 {
                if try !session.exists(schemaExists) { try session.run("CREATE SCHEMA perdure") }
                try session.run(meta)
                try session.execute(put, "identity", UUID().uuidString.lowercased())
            }
            for migration in Schema.migrations.dropFirst(Int(version)) { try session.run(migration) }
            if version == 0 { try session.run(RetentionIndexes.script) }
            try session.execute(put, "schema", String(Schema.version))
            try demand(schema: Schema.oldestCompatible, session)
        }
    }

    private static func oldestCompatible(_ session: Session) throws -> Int64? {
        try session.first(value, "oldest_compatible_schema") { Int64(try $0.text(0)) } ?? nil
    }

    static func isClosed(toSchemasBefore schema: Int64, _ session: Session) throws -> Bool {
        try oldestCompatible(session).map { $0 >= schema } ?? false
    }

    /// Closes the store to releases that know no schema as late as this. It stays closed to those that it is closed to.
    static func demand(schema: Int64, _ session: Session) throws {
        if try isClosed(toSchemasBefore: schema, session) { return }
        try session.execute(put, "oldest_compatible_schema", String(schema))
    }

    /// nil if what is there is no store.
    static func foundIdentity(_ session: Session) throws -> String? {
        do {
            return try session.first(value, "identity") { try $0.text(0) }
        } catch let failure as ServerFailure where failure.isAboutMissingTable {
            return nil
        }
    }

    static func identity(_ session: Session, _ address: ServerAddress) throws -> String {
        guard let identity = try foundIdentity(session) else {
            throw StoreError.corrupt("\(address) does not say its own identity. Restore it from a backup.")
        }
        return identity
    }
}
