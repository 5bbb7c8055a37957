import Hummingbird
import HummingbirdTesting
import Testing

@testable import PerdurePeer

@Suite struct BadInputTests {
    @Test(arguments: [
        ("/payments/charges", "", 400),
        ("/payments/charges", "{", 400),
        ("/payments/charges", "{}", 422),
        ("/payments/charges", #"{"order": "o"}"#, 422),
        ("/payments/charges", #"{"order": 7, "cents": 100}"#, 422),
        ("/payments/charges", #"{"order": "o", "cents": 1.5}"#, 422),
        ("/payments/charges", #"{"order": "o", "cents": 0}"#, 422),
        ("/payments/charges", #"{"order": "", "cents": 1}"#, 422),
        ("/payments/charges", #"{"order": "a\u0000b", "cents": 1}"#, 422),
        ("/payments/refunds", #"{"charge": "charge-99999999999999999999"}"#, 404),
        ("/payments/refunds", #"{"charge": "key-1"}"#, 404),
        ("/vault/keys", #"{"service": null}"#, 422),
        ("/directory/accounts", "[]", 422),
        ("/mail/messages", #"{"to": "ada@example.org"}"#, 422),
    ])
    func `a body that makes no sense is a problem, counted and without an effect`(
        path: String, body: String, status: Int
    ) async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.post(path, body)
            #expect(reply.status == status)
            #expect(reply.type == "application/problem+json")
            #expect(reply.text("title") != nil)
            #expect(reply.text("detail") != nil)
            let requests = try await peer.service.ledger.requests()
            #expect(requests.map(\.outcome) == [.refused])
            #expect(requests.map(\.status) == [status])
            #expect(try await peer.service.ledger.counts().effects == 0)
        }
    }

    @Test func `a body above the limit is refused with 413`() async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.charge(String(repeating: "o", count: Incoming.bodyLimit))
            #expect(reply.status == 413)
            #expect(reply.type == "application/problem+json")
        }
    }

    @Test func `a path that is not percent-encoded text is refused`() async throws {
        try await PeerHarness.run { peer in
            // Another client than the usual one, which would not send such a path.
            let reply = try await TestClient.withClient(host: "127.0.0.1", port: peer.port, configuration: .patient) {
                try await $0.get("/vault/services/%FF/active")
            }
            #expect(reply.status.code == 400)
        }
    }

    @Test func `a look without its query is refused`() async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.get("/payments/charges")
            #expect(reply.status == 422)
        }
    }

    @Test func `a path that leads nowhere is a problem as well`() async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.get("/payments/nowhere")
            #expect(reply.status == 404)
            #expect(reply.type == "application/problem+json")
        }
    }

    @Test func `a key of more than 255 bytes is refused`() async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.charge(key: String(repeating: "k", count: 256))
            #expect(reply.status == 400)
        }
    }

    @Test(arguments: ["0.0.0.0", "192.168.1.1", "example.org", ""])
    func `a peer listens on a loopback address only`(host: String) async throws {
        try await withLedgerFile { path in
            #expect(throws: PeerError.notLoopback(host: host)) {
                try PeerService(configuration: PeerConfiguration(databasePath: path, host: host))
            }
        }
    }
}
