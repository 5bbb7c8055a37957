import Testing

@testable import PerdurePeer

@Suite struct RoleTests {
    @Test func `charges of an order can be found, with what was refunded`() async throws {
        try await PeerHarness.run { peer in
            try await peer.charge("o 1", cents: 4200)
            #expect(try await peer.post("/payments/refunds", #"{"charge": "charge-1"}"#).text == #"{"id":"refund-2"}"#)
            let found = try await peer.get("/payments/charges?order=o%201")
            #expect(found.text == #"{"charges":[{"cents":4200,"id":"charge-1","order":"o 1","refunded":true}]}"#)
        }
    }

    @Test func `a key is issued, activated and revoked by reference`() async throws {
        try await PeerHarness.run { peer in
            let issued = try await peer.post("/vault/keys", #"{"service": "billing"}"#)
            #expect(issued.text == #"{"id":"key-1","service":"billing"}"#)
            #expect(try await peer.get("/vault/services/billing/active").status == 404)
            try await peer.post("/vault/services/billing/active", #"{"key": "key-1"}"#)
            #expect(try await peer.get("/vault/services/billing/active").text == #"{"key":"key-1"}"#)
            try await peer.put("/_peer/uses/key-1", #"{"uses": 3}"#)
            #expect(try await peer.get("/vault/keys/key-1/uses").text == #"{"uses":3}"#)
            for _ in 1...2 { #expect(try await peer.post("/vault/keys/key-1/revoke").status == 200) }
            #expect(try await peer.service.ledger.effects(operation: .revokeKey).count == 1)
            #expect(try await peer.get("/vault/services/billing/active").status == 404)
            #expect(try await peer.post("/vault/services/billing/active", #"{"key": "key-1"}"#).status == 409)
        }
    }

    @Test func `a name in a path may be percent-encoded`() async throws {
        try await PeerHarness.run { peer in
            try await peer.post("/vault/keys", #"{"service": "cash & 5% desk/é"}"#)
            let path = "/vault/services/cash%20%26%205%25%20desk%2F%C3%A9/active"
            #expect(try await peer.post(path, #"{"key": "key-1"}"#).status == 200)
            #expect(try await peer.service.ledger.effects(operation: .activateKey).map(\.resource) == ["cash & 5% desk/é"])
        }
    }

    @Test func `a key of another service cannot be activated`() async throws {
        try await PeerHarness.run { peer in
            try await peer.post("/vault/keys", #"{"service": "billing"}"#)
            #expect(try await peer.post("/vault/services/mail/active", #"{"key": "key-1"}"#).status == 404)
        }
    }

    @Test func `switching there and back is no duplicate, switching twice is one`() async throws {
        try await PeerHarness.run { peer in
            try await peer.post("/vault/keys", #"{"service": "s", "label": "old"}"#)
            try await peer.post("/vault/keys", #"{"service": "s", "label": "new"}"#)
            for key in ["key-1", "key-2", "key-1"] {
                try await peer.post("/vault/services/s/active", #"{"key": "\#(key)"}"#)
            }
            #expect(try await peer.service.ledger.counts().duplicates == 0)
            try await peer.post("/vault/services/s/active", #"{"key": "key-1"}"#)
            #expect(try await peer.service.ledger.counts()[.activateKey].duplicates == 1)
        }
    }

    @Test func `an account has roles until it is removed, which is safe to repeat`() async throws {
        try await PeerHarness.run { peer in
            #expect(try await peer.post("/directory/accounts", #"{"name": "ada"}"#).text == #"{"id":"account-1"}"#)
            for role in ["dev", "ops"] {
                try await peer.post("/directory/accounts/account-1/roles", #"{"role": "\#(role)"}"#)
            }
            let found = try await peer.get("/directory/accounts?name=ada")
            #expect(found.text == #"{"accounts":[{"id":"account-1","name":"ada","roles":["dev","ops"]}]}"#)
            #expect(try await peer.service.ledger.counts().duplicates == 0)
            for _ in 1...2 { #expect(try await peer.delete("/directory/accounts/account-1").status == 200) }
            #expect(try await peer.get("/directory/accounts?name=ada").text == #"{"accounts":[]}"#)
            #expect(try await peer.post("/directory/accounts/account-1/roles", #"{"role": "dev"}"#).status == 404)
            let removals = try await peer.service.ledger.requests(of: .operation(.removeAccount))
            #expect(removals.map(\.outcome) == [.performed, .unchanged])
        }
    }

    @Test func `a role is taken from an account once, which is safe to repeat`() async throws {
        try await PeerHarness.run { peer in
            try await peer.post("/directory/accounts", #"{"name": "ada"}"#)
            for role in ["dev", "ops"] {
                try await peer.post("/directory/accounts/account-1/roles", #"{"role": "\#(role)"}"#)
            }
            for _ in 1...2 { #expect(try await peer.delete("/directory/accounts/account-1/roles/dev").status == 200) }
            #expect(try await peer.delete("/directory/accounts/account-9/roles/dev").status == 200)
            let found = try await peer.get("/directory/accounts?name=ada")
            #expect(found.text == #"{"accounts":[{"id":"account-1","name":"ada","roles":["ops"]}]}"#)
            let requests = try await peer.service.ledger.requests(of: .operation(.revokeRole))
            #expect(requests.map(\.outcome) == [.performed, .unchanged, .unchanged])
        }
    }

    @Test func `duplicates are surplus effects that still hold`() async throws {
        try await PeerHarness.run { peer in
            for order in ["a", "a", "a", "b"] { try await peer.charge(order) }
            let counts = try await peer.service.ledger.counts()
            #expect(counts[.charge].effects == 4)
            #expect(counts[.charge].distinctResources == 2)
            #expect(counts[.charge].duplicates == 2)
            for charge in ["charge-1", "charge-2"] {
                try await peer.post("/payments/refunds", #"{"charge": "\#(charge)"}"#)
            }
            #expect(try await peer.service.ledger.counts().duplicates == 0)
        }
    }

    @Test func `two different messages to one address are no duplicate, the same one twice is`() async throws {
        try await PeerHarness.run { peer in
            for text in ["Hello", "Goodbye", "Hello"] {
                try await peer.post("/mail/messages", #"{"to": "ada@example.org", "template": "t", "text": "\#(text)"}"#)
            }
            let counts = try await peer.service.ledger.counts()[.sendMessage]
            #expect(counts.effects == 3)
            #expect(counts.distinctResources == 1)
            #expect(counts.duplicates == 1)
        }
    }
}
