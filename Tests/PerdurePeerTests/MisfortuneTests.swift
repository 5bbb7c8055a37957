import Hummingbird
import HummingbirdTesting
import Testing

@testable import PerdurePeer

@Suite struct MisfortuneTests {
    @Test func `failing after the effect answers 500, and the retry is recognised`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"failAfterEffect": 1}"#)
            let failed = try await peer.charge(key: "k")
            #expect(failed.status == 500)
            #expect(failed.type == "application/problem+json")
            #expect(try await peer.service.ledger.counts().effects == 1)
            let retried = try await peer.charge(key: "k")
            #expect(retried.text("id") == "charge-1")
            #expect(try await peer.service.ledger.counts().effects == 1)
            #expect(try await peer.service.ledger.requests().map(\.status) == [500, 200])
        }
    }

    @Test func `failing before does nothing for as many requests as told`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"failBefore": 2}"#)
            for _ in 1...2 { #expect(try await peer.charge(key: "k").status == 503) }
            #expect(try await peer.service.ledger.counts().effects == 0)
            #expect(try await peer.charge(key: "k").status == 200)
            #expect(try await peer.service.ledger.counts().requests == 3)
        }
    }

    @Test func `a peer that is down answers 503 to looks as well, until told otherwise`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments", #"{"down": true}"#)
            #expect(try await peer.charge().status == 503)
            #expect(try await peer.get("/payments/charges?order=o-1").status == 503)
            #expect(try await peer.get("/directory/accounts?name=ada").status == 200)
            try await peer.behave("payments", "{}")
            #expect(try await peer.get("/payments/charges?order=o-1").text == #"{"charges":[]}"#)
        }
    }

    @Test func `a rate limit answers 429 and says when to come again`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("mail.send", #"{"rateLimit": 1}"#)
            let mail = #"{"to": "ada@example.org", "template": "welcome", "text": "Hello"}"#
            let limited = try await peer.post("/mail/messages", mail, key: "k")
            #expect(limited.status == 429)
            #expect(limited.retryAfter == "1")
            #expect(try await peer.post("/mail/messages", mail, key: "k").status == 200)
            #expect(try await peer.service.ledger.effects(operation: .sendMessage).count == 1)
        }
    }

    @Test func `a dropped connection gets no answer though the work was done`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"dropAfterEffect": 1}"#)
            let charge = TestClient.Request(
                "/payments/charges", method: .post, authority: "localhost", headers: try headers(key: "k"),
                body: ByteBuffer(string: #"{"order": "o-1", "cents": 100}"#))
            await #expect(throws: TestClient.Error.connectionClosing) {
                try await TestClient.withClient(host: "127.0.0.1", port: peer.port, configuration: .patient) {
                    try await $0.execute(charge)
                }
            }
            let effects = try await peer.service.ledger.effects(operation: .charge)
            #expect(effects.map(\.resource) == ["o-1"])
            #expect(try await peer.service.ledger.requests().map(\.status) == [nil])
            let again = try await TestClient.withClient(host: "127.0.0.1", port: peer.port, configuration: .patient) {
                try await $0.execute(charge)
            }
            #expect(again.status == .ok)
            #expect(again.body == ByteBuffer(string: #"{"id":"charge-1"}"#))
        }
    }

    @Test func `held requests have done their work and are answered when released`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments", #"{"hold": true}"#)
            async let first = peer.charge("o-1")
            async let second = peer.charge("o-2")
            let waited = try await peer.get("/_peer/wait?operation=payments&effects=2&held=2")
            #expect(waited.text == #"{"effects":2,"held":2,"requests":2}"#)
            #expect(try await peer.post("/_peer/release/payments").text == #"{"released":2}"#)
            #expect(try await first.status == 200)
            #expect(try await second.status == 200)
        }
    }

    @Test func `what follows the work is done after the release`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"hold": true, "failAfterEffect": 1}"#)
            async let failed = peer.charge()
            try await peer.get("/_peer/wait?held=1")
            peer.service.release(.operation(.charge))
            #expect(try await failed.status == 500)
            #expect(try await peer.service.ledger.counts().effects == 1)
        }
    }

    @Test func `a held request is given up when its caller is gone, and its key is recognised`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"hold": true}"#)
            let charge = TestClient.Request(
                "/payments/charges", method: .post, authority: "localhost", headers: try headers(key: "k"),
                body: ByteBuffer(string: #"{"order": "o-1", "cents": 100}"#))
            try await TestClient.withClient(host: "127.0.0.1", port: peer.port, configuration: .patient) { client in
                try await client.executeAndDontWaitForResponse(charge)
                try await peer.get("/_peer/wait?operation=payments.charge&held=1")
            }
            try await peer.behave("payments.charge", "{}")
            // The end of a connection is noticed in its own time; until then the key is in progress.
            var reply = try await peer.charge(key: "k")
            while reply.status == 409 { reply = try await peer.charge(key: "k") }
            #expect(reply.text("id") == "charge-1")
            #expect(try await peer.service.ledger.counts().effects == 1)
        }
    }

    @Test func `a delay stands between the work and its answer`() async throws {
        try await PeerHarness.run { peer in
            try await peer.behave("payments.charge", #"{"delayMilliseconds": 40}"#)
            #expect(try await peer.charge().status == 200)
            #expect(peer.pauses.all == [.milliseconds(40)])
        }
    }

    @Test func `the behaviour of an operation hides that of its group`() async throws {
        try await PeerHarness.run { peer in
            try await peer.charge()
            try await peer.behave("payments", #"{"down": true}"#)
            try await peer.behave("payments.refund", "{}")
            #expect(try await peer.charge().status == 503)
            #expect(try await peer.post("/payments/refunds", #"{"charge": "charge-1"}"#).status == 200)
        }
    }
}
