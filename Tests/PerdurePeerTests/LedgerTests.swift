import Testing

@testable import PerdurePeer

@Suite struct LedgerTests {
    private static func errand(_ order: String, key: String?) -> Errand {
        Errand(
            operation: .charge, resource: order, distinction: "", digest: BodyDigest([order]), key: key, attempt: "2",
            work: { .done(effect: try $0.happened(cents: 5), Answer(json: "{}")) })
    }

    @Test func `a second handle on the file sees what the first one counted`() async throws {
        try await withLedgerFile { path in
            let first = try PeerLedger(path: path)
            _ = try await first.admit(Self.errand("a", key: nil), inProgress: false)
            let second = try PeerLedger(path: path)
            #expect(try await second.counts() == first.counts())
            #expect(try await second.effects(operation: .charge).map(\.cents) == [5])
        }
    }

    @Test func `rows carry the clock, the key and the attempt they were given`() async throws {
        try await withLedgerFile { path in
            let ledger = try PeerLedger(path: path, now: { 42 })
            _ = try await ledger.admit(Self.errand("a", key: "k"), inProgress: false)
            let request = try #require(try await ledger.requests().first)
            let effect = try #require(try await ledger.effects().first)
            #expect([request.at, effect.at] == [42, 42])
            #expect([request.idempotencyKey, effect.idempotencyKey] == ["k", "k"])
            #expect(request.attempt == "2")
            #expect(effect.bodyDigest == BodyDigest(["a"]).description)
        }
    }

    @Test func `work that throws leaves neither effect nor request`() async throws {
        struct Broken: Error {}
        try await withLedgerFile { path in
            let ledger = try PeerLedger(path: path)
            let errand = Errand(
                operation: .charge, resource: "a", distinction: "", digest: BodyDigest(["a"]), key: "k", attempt: nil,
                work: { ledger in
                    _ = try ledger.happened()
                    throw Broken()
                })
            await #expect(throws: Broken.self) { try await ledger.admit(errand, inProgress: false) }
            #expect(try await ledger.counts() == PeerCounts())
        }
    }

    @Test func `a request its work refuses has no effect and uses up no counter`() async throws {
        try await withLedgerFile { path in
            let ledger = try PeerLedger(path: path)
            var behaviour = Behaviour()
            behaviour.failAfterEffect = 1
            try await ledger.setBehaviour(behaviour, of: .operation(.charge))
            let errand = Errand(
                operation: .charge, resource: "a", distinction: "", digest: BodyDigest(["a"]), key: "k", attempt: nil,
                work: { ledger in
                    _ = try ledger.happened()
                    throw Problem.missing("no")
                })
            #expect(try await ledger.admit(errand, inProgress: false).result == .failure(Problem.missing("no")))
            #expect(try await ledger.behaviour(of: .operation(.charge)) == behaviour)
            #expect(try await ledger.requests().map(\.outcome) == [.refused])
            #expect(try await ledger.effects().isEmpty)
        }
    }
}
