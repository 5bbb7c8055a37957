import Foundation
import Logging
import PerdurePostgres
import PerdureSQLite
import PerdureStore

/// Where one store is, or the tables of the hand-written program.
enum BenchPlace: Codable, Sendable {
    /// The path of an SQLite file.
    case file(String)
    /// The URL of a PostgreSQL database.
    case database(String)

    func configuration(_ logger: Logger) -> StoreConfiguration {
        switch self {
        case .file(let path): .sqlite(path, logger: logger)
        case .database(let url): .postgres(url, logger: logger)
        }
    }

    /// Looks at the engine's store from outside.
    func work() throws -> any StoredWork {
        switch self {
        case .file(let path): try SQLiteWork(path)
        case .database(let url): try PostgresWork(url)
        }
    }

    /// The hand-written program, with its tables made, and nothing in them.
    func handWritten(_ template: RunTemplate) throws -> any HandWritten {
        switch self {
        case .file(let path): try HandWrittenSQLite(path, template)
        case .database(let url): try HandWrittenPostgres(url, template)
        }
    }

    /// Counts what is used by this process, and by the server that the place is on.
    func meter() throws -> Meter {
        switch self {
        case .file: Meter(server: nil)
        case .database(let url): Meter(server: try ServerMeter(url))
        }
    }
}

/// The kinds of stores that can be measured.
package enum BenchKind: String, Sendable {
    case sqlite, postgres

    /// Whether a process proves by a lock that it lives, so that another one need not wait for the end of a lease.
    var hasLocks: Bool { self == .sqlite }
    /// The length of a node's lease in seconds, as the engine sets it by default.
    static let lease = 15.0
}

/// Where places are made, one after the other.
package enum BenchGround: Sendable {
    /// A folder on the disk that is to be measured.
    case folder(String)
    /// A server, by the URL of a database from which others can be made.
    case server(String)

    package var kind: BenchKind {
        switch self {
        case .folder: .sqlite
        case .server: .postgres
        }
    }

    /// An empty place for the body, removed afterwards with all that was made in it.
    func withPlace<Result>(_ name: String, _ body: (BenchPlace) async throws -> Result) async throws -> Result {
        let unique = "bench_\(name.replacing("-", with: "_"))_\(UInt64.random(in: .min ... .max))"
        switch self {
        case .folder(let folder):
            let path = "\(folder)/\(unique).db"
            defer {
                for end in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + end) }
            }
            return try await body(.file(path))
        case .server(let url):
            let server = try PlainServer(url)
            try server.run("CREATE DATABASE \(unique)")
            // A worker that was killed may have left a connection behind.
            defer { try? server.run("DROP DATABASE \(unique) WITH (FORCE)") }
            return try await body(.database(try Self.url(url, database: unique)))
        }
    }

    private static func url(_ url: String, database: String) throws -> String {
        guard var parts = URLComponents(string: url) else { throw BenchError("the server's URL cannot be read") }
        parts.path = "/" + database
        guard let changed = parts.string else { throw BenchError("the server's URL cannot be read") }
        return changed
    }
}
