import Foundation
import PerdureStore
import Testing

@testable import PerdurePostgres

/// TLS, as the address demands it.
struct EncryptionTests {
    private static let encrypted = SQL("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    private static let plain = SQL(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND NOT ssl")
    private static let user = SQL("SELECT current_user::text")

    private static func refusal(_ query: String, port: Int? = nil) async throws -> StoreError {
        let connection = Connection(try PostgresServer.address(port: port, query))
        return try await storeError { try await connection.perform { _ = try $0.exists(encrypted) } }
    }

    @Test func `a server whose certificate is trusted is used, and every connection of a store is encrypted`() async throws {
        let database = try await TestDatabase()
        var parts = try database.parts
        parts.query = "sslmode=verify-full&sslrootcert=\(try PostgresServer.certificate("ca.crt"))"
        let store = try await PostgresStore.open(try #require(parts.string), role: .engine, options: PostgresOptions())
        try await store.register(NodeRegistration(id: NodeID(rawValue: "n"), build: "b1", host: "host", processID: 1))
        _ = try await store.audit()
        // Its own connection is one that is not encrypted.
        let observer = try database.connect()
        #expect(try await observer.perform { try $0.first(Self.plain) { try $0.integer(0) } } == 1)
        await observer.close()
        await store.close()
        await database.remove()
    }

    @Test func `TLS that is demanded of a server without it is not done without`() async throws {
        let error = try await Self.refusal("sslmode=require", port: PostgresServer.Pooler.session.port)
        #expect(error.kind == "store_refused" && error.description.contains("sslmode"))
    }

    @Test(arguments: ["other.crt", "missing.crt"])
    func `a server whose certificate another authority has signed, or none that can be read, is not trusted`(_ root: String)
        async throws
    {
        let error = try await Self.refusal("sslmode=verify-ca&sslrootcert=\(try PostgresServer.certificate(root))")
        #expect(error.kind == "store_refused" && error.description.contains("certificate"))
    }

    @Test func `a certificate of another host is not taken`() async throws {
        let query = "host=elsewhere.example&hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert="
        let error = try await Self.refusal(query + PostgresServer.certificate("ca.crt"))
        #expect(error.kind == "store_refused" && error.description.contains("elsewhere.example"))
        #expect(
            try await Connection(
                PostgresServer.address(query.replacing("full", with: "ca") + PostgresServer.certificate("ca.crt"))
            )
            .perform { try $0.first(Self.encrypted) { try $0.bool(0) } } == true)
    }

    @Test func `a user whom the server knows by a certificate comes in with it, and not without`() async throws {
        let server = try Connection(toTestServer: ())
        try await server.perform { try $0.run("DROP ROLE IF EXISTS certified; CREATE ROLE certified LOGIN") }
        func address(_ query: String) throws -> ServerAddress {
            var parts = try PostgresServer.parts
            parts.user = "certified"
            parts.password = nil
            parts.query = "sslmode=verify-full&sslrootcert=\(try PostgresServer.certificate("ca.crt"))" + query
            return try ServerAddress(parts.string ?? "")
        }
        let certificate =
            "&sslcert=\(try PostgresServer.certificate("client.crt"))&sslkey=\(try PostgresServer.certificate("client.key"))"
        let certified = Connection(try address(certificate))
        #expect(try await certified.perform { try $0.first(Self.user) { try $0.text(0) } } == "certified")
        await certified.close()
        let other = Connection(try address(""))
        #expect(try await storeError { try await other.perform { _ = try $0.exists(Self.user) } }.kind == "store_refused")
        try await server.perform { try $0.run("DROP ROLE certified") }
    }
}
