import AsyncHTTPClient
import Foundation
import Hummingbird
import HummingbirdTesting
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import PerdurePeer

/// A peer on a ledger of its own, and requests to it.
struct PeerHarness: Sendable {
    let service: PeerService
    let port: Int
    let pauses: Pauses

    /// Serves a new peer over TCP to the test, and removes its ledger afterwards.
    static func run(_ test: @escaping @Sendable (PeerHarness) async throws -> Void) async throws {
        try await withLedgerFile { path in
            let pauses = Pauses()
            let service = try PeerService(configuration: pauses.configuration(path))
            let (ports, listening) = AsyncStream<Int>.makeStream()
            let running = Task {
                defer { listening.finish() }
                try await service.run { listening.yield($0) }
            }
            defer { running.cancel() }
            let port = try #require(await ports.first { _ in true })
            try await test(PeerHarness(service: service, port: port, pauses: pauses))
            running.cancel()
            try await running.value
        }
    }

    @discardableResult
    func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, key: String? = nil) async throws -> Reply {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        request.method = HTTPMethod(rawValue: method.rawValue)
        if let key { request.headers.add(name: "idempotency-key", value: key) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        // Requests are held on purpose; the limit is for a test that hangs.
        let response = try await HTTPClient.shared.execute(request, timeout: .minutes(10))
        let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
        return Reply(status: Int(response.status.code), headers: response.headers, text: text)
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
    let headers: HTTPHeaders
    let text: String

    var type: String? { headers.first(name: "content-type") }
    var retryAfter: String? { headers.first(name: "retry-after") }

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

extension TestClient.Configuration {
    /// Of connections that are watched closer than by the usual client. The limit is for a test that hangs.
    static let patient = Self(timeout: .seconds(600))
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
