import Testing

@testable import PerdurePeer

@Suite struct ControlTests {
    @Test func `the peer says that it is well`() async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.get("/_peer/health")
            #expect(reply.text == #"{"status":"ok"}"#)
        }
    }

    @Test func `counts are told in total and by operation`() async throws {
        try await PeerHarness.run { peer in
            for _ in 1...2 { try await peer.charge(key: "k") }
            let counts = try JSON.decode(PeerCounts.self, from: try await peer.get("/_peer/counts").text)
            #expect(counts == (try await peer.service.ledger.counts()))
            #expect(counts[.charge].requests == 2)
            #expect(counts[.charge].effects == 1)
            #expect(counts[.refund] == .init())
        }
    }

    @Test func `effects and requests are told, all of them or those asked for`() async throws {
        struct Effects: Decodable { let effects: [PeerEffect] }
        struct Requests: Decodable { let requests: [PeerRequest] }
        try await PeerHarness.run { peer in
            try await peer.charge("a", key: "k")
            try await peer.charge("b")
            try await peer.post("/directory/accounts", #"{"name": "a"}"#)
            func effects(_ query: String) async throws -> [Int64] {
                try JSON.decode(Effects.self, from: try await peer.get("/_peer/effects\(query)").text).effects.map(\.id)
            }
            #expect(try await effects("") == [1, 2, 3])
            #expect(try await effects("?operation=payments") == [1, 2])
            #expect(try await effects("?operation=payments.charge&resource=b") == [2])
            #expect(try await effects("?resource=a") == [1, 3])
            let reply = try await peer.get("/_peer/requests?operation=payments")
            let requests = try JSON.decode(Requests.self, from: reply.text).requests
            #expect(requests.map(\.idempotencyKey) == ["k", nil])
            #expect(requests.map(\.effect) == [1, 2])
        }
    }

    @Test func `waiting answers once enough requests have come`() async throws {
        try await PeerHarness.run { peer in
            async let waited = peer.get("/_peer/wait?operation=payments.charge&requests=2")
            try await peer.charge("a")
            try await peer.charge("b")
            #expect(try await waited.text == #"{"effects":2,"held":0,"requests":2}"#)
        }
    }

    @Test func `waiting in vain says what there is`() async throws {
        try await PeerHarness.run { peer in
            try await peer.charge()
            let reply = try await peer.get("/_peer/wait?operation=payments.charge&effects=2&milliseconds=5")
            #expect(reply.status == 504)
            #expect(reply.text("detail") == "requests: 1, effects: 1, held: 0")
        }
    }

    @Test func `a behaviour can be read back`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("vault", #"{"keys": "ignore", "failBefore": 2}"#)
            let read = try JSON.decode(Behaviour.self, from: try await peer.get("/_peer/behaviour/vault").text)
            #expect(read.keys == .ignore)
            #expect(read.failBefore == 2)
        }
    }

    @Test func `a reset forgets everything but the ids`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"keys": "ignore"}"#)
            try await peer.charge(key: "k")
            try await peer.post("/_peer/reset")
            #expect(try await peer.service.ledger.counts() == PeerCounts())
            #expect(try await peer.service.ledger.behaviour(of: .operation(.charge)) == Behaviour())
            #expect(try await peer.charge(key: "k").text("id") == "charge-2")
        }
    }

    @Test(arguments: [
        ("/_peer/behaviour/payments.chargeback", "{}", 404),
        ("/_peer/behaviour/payments.charge", #"{"failAfter": 1}"#, 422),
        ("/_peer/behaviour/payments.charge", "{", 400),
        ("/_peer/uses/key-1", #"{"uses": -1}"#, 422),
    ])
    func `a control request that makes no sense is refused`(path: String, body: String, status: Int) async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.put(path, body)
            #expect(reply.status == status)
            #expect(reply.type == "application/problem+json")
        }
    }

    @Test(arguments: ["?operation=nothing", "?requests=many", "?held=-1"])
    func `a wait that makes no sense is refused`(query: String) async throws {
        try await PeerHarness.run { peer in
            let reply = try await peer.get("/_peer/wait\(query)")
            #expect([404, 422].contains(reply.status))
        }
    }
}
