import Foundation
import Perdure
import PerdureProcess
import PerdureStore
import Testing

@testable import PerdurePostgres

/// The server that the tests use. `Scripts/with_postgres.py` makes one.
enum PostgresServer {
    struct IsMissing: Error, CustomStringConvertible {
        let description =
            "There is no PostgreSQL server for this test. Run the tests under one: Scripts/with_postgres.py swift test --filter PerdurePostgresTests"
    }

    /// Its address, as a URL with user and password.
    static var url: String {
        get throws {
            guard let url = ProcessInfo.processInfo.environment["PERDURE_TEST_POSTGRES"], !url.isEmpty else { throw IsMissing() }
            return url
        }
    }

    /// The address with parts of it changed, such as the port of something that stands in between.
    static func address(port: Int? = nil, database: String? = nil, _ query: String = "") throws -> ServerAddress {
        var components = try parts
        if let port { components.port = port }
        if let database { components.path = "/" + database }
        return try ServerAddress((components.string ?? "") + (query.isEmpty ? "" : "?" + query))
    }

    static var parts: URLComponents {
        get throws {
            guard let parts = URLComponents(string: try url) else { throw IsMissing() }
            return parts
        }
    }

    /// What else `Scripts/with_postgres.py` says of the server.
    private static func variable(_ name: String) throws -> String {
        guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { throw IsMissing() }
        return value
    }

    /// The path of a certificate or a key.
    static func certificate(_ name: String) throws -> String { try variable("PERDURE_TEST_CERTIFICATES") + "/" + name }

    /// PgBouncer in front of the server, without TLS.
    enum Pooler: String {
        /// Every client has a session of the server until it leaves.
        case session = "PERDURE_TEST_POOLER_SESSION"
        /// For each transaction a session that is free.
        case transaction = "PERDURE_TEST_POOLER_TRANSACTION"

        var port: Int {
            get throws {
                guard let port = URLComponents(string: try variable(rawValue))?.port else { throw IsMissing() }
                return port
            }
        }
    }
}

extension Proxy {
    /// One in front of the server of the tests.
    ///
    /// - Parameter port: one to listen on, where an earlier one did; 0 for any.
    convenience init(on port: Int = 0) throws {
        guard let upstream = try PostgresServer.parts.port else { throw PostgresServer.IsMissing() }
        try self.init(to: upstream, on: port)
    }
}

extension Connection {
    /// One to the server of the tests, or to what stands in front of it.
    convenience init(toTestServer query: String, port: Int? = nil, answerLimit: Duration = .seconds(30)) throws {
        self.init(try PostgresServer.address(port: port, query), options: ConnectionOptions(answerLimit: answerLimit))
    }

    convenience init(toTestServer: Void = ()) throws { try self.init(toTestServer: "") }
}

/// The error that the body throws.
func storeError<Result>(_ body: () async throws -> Result) async throws -> StoreError {
    do {
        _ = try await body()
    } catch let error as StoreError {
        return error
    }
    throw NothingThrown()
}

struct NothingThrown: Error {}

/// The error of this kind that the body throws.
///
/// Not `#require(throws:)`: among closures in closures the compiler (6.3.1) takes that of a macro for another one beside it.
@discardableResult
func thrown<Failure: Error, Result>(_ kind: Failure.Type = ServerFailure.self, _ body: () throws -> Result) throws -> Failure {
    do {
        _ = try body()
    } catch let error as Failure {
        return error
    }
    throw NothingThrown()
}

extension StoreError {
    /// The kind without its text.
    var kind: String {
        switch self {
        case .unavailable: "unavailable"
        case .awaitsNodes: "awaits nodes"
        case .outcomeUnknown: "outcome unknown"
        case .corrupt: "corrupt"
        case .unsupported: "unsupported"
        case .unusable(let code, _): code.rawValue
        case .leaseLost: "lease lost"
        case .closed: "closed"
        }
    }
}

/// A schema of its own for one test, with a table; every connection made here works in it.
final class TestSchema: Sendable {
    static let insert = SQL("INSERT INTO notes (id, text) VALUES ($1, $2)")
    static let count = SQL("SELECT count(*) FROM notes")
    static let ids = SQL("SELECT id FROM notes ORDER BY id")

    let name = "t\(UUID().uuidString.lowercased().replacing("-", with: ""))"

    init() async throws {
        let create = "CREATE SCHEMA \(name); CREATE TABLE \(name).notes (id int8 CONSTRAINT notes_id UNIQUE, text text)"
        try await Connection(toTestServer: ()).perform { try $0.run(create) }
    }

    /// - Parameter proxy: what the connection goes through.
    func connect(_ query: String = "", through proxy: Proxy? = nil, answerLimit: Duration = .seconds(30)) throws -> Connection {
        let path = "SET search_path TO \(name)"
        return Connection(
            try PostgresServer.address(port: proxy?.port, query), options: ConnectionOptions(answerLimit: answerLimit)
        ) { try $0.run(path) }
    }

    /// What is durable, as another connection sees it.
    func ids() async throws -> [Int64] {
        try await connect().perform { try $0.all(Self.ids) { try $0.integer(0) } }
    }
}
