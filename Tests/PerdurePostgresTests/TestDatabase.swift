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

    func remove() async {
        let drop = "DROP DATABASE \(name) WITH (FORCE)"
        // The server goes with everything in it when the tests have ended.
        try? await Connection(toTestServer: ()).perform { try $0.run(drop) }
    }
}
