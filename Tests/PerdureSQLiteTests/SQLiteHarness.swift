import Foundation
import GRDB
import Perdure
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance

/// One store in a folder of its own, which goes with it.
final class SQLiteHarness: StoreHarness {
    let clock = ManualClock()
    let folder: String
    var path: String { folder + "/perdure.db" }

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/perdure-sqlite-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    func open(_ role: StoreConfiguration.Role) async throws -> any Store { try await open(role, .none) }

    func open(
        _ role: StoreConfiguration.Role = .engine, _ faults: StoreFaults, adjust: (inout SQLiteOptions) -> Void = { _ in }
    ) async throws -> any Store {
        var options = SQLiteOptions()
        options.clock = { [clock] in clock.now }
        options.bellInterval = .milliseconds(1)
        options.faults = faults
        adjust(&options)
        return try await StoreConfiguration.sqlite(path, options: options).open(role)
    }

    func write(_ text: String, with connection: Any) throws {
        guard let connection = connection as? SQLiteTransaction else { throw CocoaError(.featureUnsupported) }
        try connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)")
        try connection.execute("INSERT INTO notes VALUES (?)", text)
    }

    func written() async throws -> [String] {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try await queue.read { database in
            guard try database.tableExists("notes") else { return [] }
            return try String.fetchAll(database, sql: "SELECT text FROM notes ORDER BY rowid")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func remove() async {}
}
