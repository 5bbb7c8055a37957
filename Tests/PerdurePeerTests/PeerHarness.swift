import Foundation
import Hummingbird
import HummingbirdTesting
import Synchronization
import Testing

@testable import PerdurePeer

/// A peer on a ledger of its own, and requests to it.
struct PeerHarness: Sendable {
    let service: PeerService
    let client: any TestClientProtocol
    let pauses: Pauses

    /// Serves a new peer over TCP to the test, and removes its ledger afterwards.
    static func run(_ test: @escaping @Sendable (PeerHarness) async throws -> Void) async throws {
        try await withLedgerFile { path in
            let pauses = Pauses()
            let service = try PeerService(configuration: pauses.configuration(path))
            try await service.application().test(.ahc(.http)) { client in
                try await test(PeerHarness(service: service, client: client, pauses: pauses))
            }
        }
    }

    /// The port of the peer, for tests that need a connection of their own.
    func port() throws -> Int { try #require(client.port) }

    @discardableResult
    func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, key: String? = nil) async throws -> Reply {
        let response = try await client.execute(
            uri: path, method: method, headers: headers(key: key), body: body.map { ByteBuffer(string: $0) })
        return Reply(status: response.status.code, headers: response.headers, text: String(buffer: response.body))
    }

    @discardableResult
    func post(_ path: String, _ body: String? = nil, key: String? = nil) async throws -> Reply {
        try await send(.post, path, body, key: key)
    }

    @discardableResult
    func get(_ path: String) async throws -> Reply {
        try await send(.get, path)
    }

    @discardableResult
    func put(_ path: String, _ body: String) async throws -> Reply {
        try await send(.put, path, body)
    }

    @discardableResult
    func delete(_ path: String) async throws -> Reply {
        try await send(.delete, path)
    }

    /// Charges an order, which is the work most tests are content with.
    @discardableResult
    func charge(_ order: String = "o-1", cents: Int = 100, key: String? = nil) async throws -> Reply {
        try await post("/payments/charges", #"{"order": "\#(order)", "cents": \#(cents)}"#, key: key)
    }

    func behave(_ operation: String, _ json: String) async throws {
        let reply = try await put("/_peer/behaviour/\(operation)", json)
        #expect(reply.status == 200)
    }
}

/// An answer, as a test looks at it.
struct Reply: Equatable, Sendable {
    let status: Int
    let headers: HTTPFields
    let text: String

    var type: String? { headers[.contentType] }
    var retryAfter: String? { headers[.retryAfter] }

    /// A text member of the JSON body.
    func text(_ member: String) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return object?[member] as? String
    }
}

/// Remembers the delays a peer was told to make, and makes none. The limit of a long poll is not a delay: it never ends.
final class Pauses: Sendable {
    private let made = Mutex<[Duration]>([])

    var all: [Duration] { made.withLock { $0 } }

    func configuration(_ path: String) -> PeerConfiguration {
        var configuration = PeerConfiguration(databasePath: path)
        configuration.pause = { duration in
            if duration == .seconds(30) {
                let never = Gate()
                try await never.pass(never.ticket())
            } else {
                self.made.withLock { $0.append(duration) }
            }
        }
        return configuration
    }
}

func headers(key: String?) throws -> HTTPFields {
    var headers = HTTPFields()
    if let key { headers[try #require(HTTPFields.Element.Name("Idempotency-Key"))] = key }
    return headers
}

func withLedgerFile(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("peer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.appendingPathComponent("ledger.db").path)
}
