import Foundation
import Perdure
import PerdureHistory
import PerdureProcess
import PerdureStore
import PerdureStoreConformance

@testable import PerdurePostgres

/// One store in a database of its own, which goes with it.
final class PostgresHarness: StoreHarness {
    let clock = ManualClock()
    let database: TestDatabase
    /// Where stores connect to, if not to the server itself.
    private let port: Int?

    init(behind pooler: PostgresServer.Pooler? = nil) async throws {
        port = try pooler?.port
        database = try await TestDatabase()
    }

    func open(_ role: StoreConfiguration.Role) async throws -> any Store { try await open(role) { _ in } }

    /// - Parameter proxy: what all connections go through, each statement with its text.
    func open(
        _ role: StoreConfiguration.Role, through proxy: Proxy? = nil, adjust: (inout PostgresOptions) -> Void
    ) async throws -> PostgresStore {
        var options = PostgresOptions()
        options.clock = { [clock] in clock.now }
        adjust(&options)
        var parts = try database.parts
        if let port { parts.port = port }
        if let proxy {
            parts.port = proxy.port
            parts.query = "perdure_prepare=false"
        }
        return try await PostgresStore.open(parts.string ?? "", role: role, options: options)
    }

    func write(_ text: String, with connection: Any) throws {
        guard let connection = connection as? PostgresTransaction else { throw NothingThrown() }
        try connection.execute(
            "CREATE TABLE IF NOT EXISTS notes (number bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL)")
        try connection.execute("INSERT INTO notes (text) VALUES ($1)", text)
    }

    private static let anyNotes = SQL("SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = 'notes'")
    private static let notes = SQL("SELECT text FROM notes ORDER BY number")

    func written() async throws -> [String] {
        try await database.connect().perform { session in
            guard try session.exists(Self.anyNotes) else { return [] }
            return try session.all(Self.notes) { try $0.text(0) }
        }
    }

    func remove() async { await database.remove() }
}
