import Foundation
import PerdureStore

@testable import PerdurePostgres

/// A database of its own for one test.
struct TestDatabase: Sendable {
    let name = "t\(UUID().uuidString.lowercased().replacing("-", with: ""))"

    init() async throws {
        let create = "CREATE DATABASE \(name)"
        try await Connection(toTestServer: ()).perform { try $0.run(create) }
    }

    var parts: URLComponents {
        get throws {
            var parts = try PostgresServer.parts
            parts.path = "/" + name
            return parts
        }
    }

    var url: String {
        get throws {
            guard let url = try parts.string else { throw PostgresServer.IsMissing() }
            return url
        }
    }

    func connect() throws -> Connection { Connection(try ServerAddress(url)) }

    private static let isAnyoneWaiting = SQL(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

    func untilSomebodyWaitsForALock() async throws {
        let observer = try connect()
        while try await observer.perform({ try !$0.exists(Self.isAnyoneWaiting) }) { await Task.yield() }
    }

    func remove() async {
        let drop = "DROP DATABASE \(name) WITH (FORCE)"
        // The server goes with everything in it when the tests have ended.
        try? await Connection(toTestServer: ()).perform { try $0.run(drop) }
    }
}
