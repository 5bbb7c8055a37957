import Hummingbird
import HummingbirdTesting
import Testing

@testable import PerdurePeer

@Suite struct RestartTests {
    private static func charge(_ key: String) throws -> TestClient.Request {
        TestClient.Request(
            "/payments/charges", method: .post, authority: "localhost", headers: try headers(key: key),
            body: ByteBuffer(string: #"{"order": "o-1", "cents": 100}"#))
    }

    /// Runs a peer on the file until the test is through with it.
    private static func life(
        _ path: String, _ test: @escaping @Sendable (PeerService, TestClient, Int) async throws -> Void
    ) async throws {
        let service = try PeerService(configuration: Pauses().configuration(path))
        let (ports, listening) = AsyncStream<Int>.makeStream()
        let running = Task {
            defer { listening.finish() }
            try await service.run { listening.yield($0) }
        }
        defer { running.cancel() }
        let port = try #require(await ports.first { _ in true })
        try await TestClient.withClient(host: "127.0.0.1", port: port, configuration: .patient) { client in
            try await test(service, client, port)
            // The peer ends while the connection is open: it must not wait for its callers.
            running.cancel()
            try await running.value
        }
    }

    @Test func `keys, effects and counts survive a restart`() async throws {
        try await withLedgerFile { path in
            try await Self.life(path) { _, client, _ in _ = try await client.execute(Self.charge("k")) }
            try await Self.life(path) { service, client, _ in
                let reply = try await client.execute(Self.charge("k"))
                #expect(reply.body == ByteBuffer(string: #"{"id":"charge-1"}"#))
                let counts = try await service.ledger.counts()
                #expect(counts.requests == 2)
                #expect(counts.effects == 1)
                #expect(counts.requestsRecognised == 1)
            }
        }
    }

    @Test func `a behaviour survives a restart with what is left of its counters`() async throws {
        try await withLedgerFile { path in
            try await Self.life(path) { service, client, _ in
                var behaviour = Behaviour()
                behaviour.failBefore = 2
                try await service.ledger.setBehaviour(behaviour, of: .operation(.charge))
                #expect(try await client.execute(Self.charge("k")).status == .serviceUnavailable)
            }
            try await Self.life(path) { service, client, _ in
                let behaviour = try await service.ledger.behaviour(of: .operation(.charge))
                #expect(behaviour.failBefore == 1)
                #expect(try await client.execute(Self.charge("k")).status == .serviceUnavailable)
                #expect(try await client.execute(Self.charge("k")).status == .ok)
            }
        }
    }

    @Test func `a peer that ends gives up what it holds; what was done stands`() async throws {
        try await withLedgerFile { path in
            try await Self.life(path) { service, client, port in
                var behaviour = Behaviour()
                behaviour.hold = true
                try await service.ledger.setBehaviour(behaviour, of: .group("payments"))
                try await client.executeAndDontWaitForResponse(Self.charge("k"))
                let wait = "/_peer/wait?operation=payments.charge&held=1"
                _ = try await TestClient.withClient(host: "127.0.0.1", port: port, configuration: .patient) {
                    try await $0.get(wait)
                }
            }
            try await Self.life(path) { service, client, _ in
                try await service.ledger.setBehaviour(Behaviour(), of: .group("payments"))
                #expect(try await client.execute(Self.charge("k")).body == ByteBuffer(string: #"{"id":"charge-1"}"#))
                #expect(try await service.ledger.counts().effects == 1)
            }
        }
    }
}
