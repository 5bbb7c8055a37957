import Testing

@testable import PerdurePeer

@Suite struct KeyTests {
    @Test func `a repeated key gets the recorded answer and has no second effect`() async throws {
        try await PeerHarness.run { peer in
            let first = try await peer.charge(key: "k")
            let second = try await peer.charge(key: "k")
            #expect(first.status == 200)
            #expect(first.text("id") == "charge-1")
            #expect(second.text == first.text)
            let counts = try await peer.service.ledger.counts()
            #expect(counts.requests == 2)
            #expect(counts.effects == 1)
            #expect(counts.requestsRecognised == 1)
            #expect(try await peer.service.ledger.requests().map(\.outcome) == [.performed, .replayed])
        }
    }

    @Test func `ignored keys let every request have its effect, and the duplicates are counted`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"keys": "ignore"}"#)
            for _ in 1...3 { try await peer.charge(key: "k") }
            let counts = try await peer.service.ledger.counts()
            #expect(counts.effects == 3)
            #expect(counts.duplicates == 2)
            #expect(counts[.charge].duplicates == 2)
            #expect(counts.requestsRecognised == 0)
        }
    }

    @Test func `the same key with another body is refused with 422`() async throws {
        try await PeerHarness.run { peer in
            try await peer.charge(cents: 100, key: "k")
            let reply = try await peer.charge(cents: 101, key: "k")
            #expect(reply.status == 422)
            #expect(reply.type == "application/problem+json")
            #expect(reply.text("title") == "Idempotency key reused")
            #expect(try await peer.service.ledger.counts().effects == 1)
        }
    }

    @Test func `the same key for another operation is refused with 422`() async throws {
        try await PeerHarness.run { peer in
            try await peer.charge(key: "k")
            let reply = try await peer.post("/directory/accounts", #"{"name": "o-1"}"#, key: "k")
            #expect(reply.status == 422)
        }
    }

    @Test func `another order of the members is the same body`() async throws {
        try await PeerHarness.run { peer in
            let first = try await peer.post("/payments/charges", #"{"order": "o", "cents": 5}"#, key: "k")
            let second = try await peer.post("/payments/charges", #"{ "cents":5, "order":"o" }"#, key: "k")
            #expect(second.status == 200)
            #expect(second.text == first.text)
        }
    }

    @Test func `fifty requests at once with one key have exactly one effect`() async throws {
        try await PeerHarness.run { peer in
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for _ in 1...50 { group.addTask { try await peer.charge(key: "k") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for reply in replies {
                #expect(reply.status == 200 && reply.text("id") == "charge-1" || reply.status == 409 && reply.retryAfter == "0")
            }
            #expect(replies.contains { $0.status == 200 })
            let counts = try await peer.service.ledger.counts()
            #expect(counts.effects == 1)
            #expect(counts.requests == 50)
        }
    }

    @Test func `a key whose request is held is in progress, and recognised once it is answered`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"hold": true}"#)
            async let held = peer.charge(key: "k")
            try await peer.get("/_peer/wait?operation=payments.charge&held=1")
            let refused = try await peer.charge(key: "k")
            #expect(refused.status == 409)
            #expect(refused.retryAfter == "0")
            try await peer.behave("payments.charge", "{}")
            try await peer.post("/_peer/release/payments.charge")
            let answered = try await held
            #expect(answered.status == 200)
            #expect(try await peer.charge(key: "k").text == answered.text)
            #expect(try await peer.service.ledger.counts().effects == 1)
        }
    }

    @Test func `a request refused for its content leaves its key free`() async throws {
        try await PeerHarness.run { peer in
            #expect(try await peer.post("/payments/refunds", #"{"charge": "charge-1"}"#, key: "k").status == 404)
            try await peer.charge()
            #expect(try await peer.post("/payments/refunds", #"{"charge": "charge-1"}"#, key: "k").status == 200)
        }
    }
}
