import Perdure
import PerdureHistory
import PerdureSQLite
import PerdureStore
import PerdureStoreConformance
import Testing

/// What code that knows nothing of namespaces may do to a file: its statements are given here as it has them.
struct NamespaceGateTests {
    private static let bury = """
        UPDATE runs SET expired_at = closed_at + 1000000, last_seq = 2,
            last_hash = (SELECT hash FROM events WHERE run = runs.number ORDER BY seq DESC LIMIT 1), leftover = 1 WHERE number = 1
        """
    private static let remove = "DELETE FROM runs WHERE number = 1"

    /// Leaves a file with one closed run, whose namespace has these terms.
    private func harness(_ terms: RetentionTerms?, isArchived: Bool = false) async throws -> SQLiteHarness {
        let harness = try SQLiteHarness()
        try await harness.withStore { store in
            try await store.register(SQLiteHarness.node)
            var run = SampleRun(owner: SQLiteHarness.node.id)
            guard case .created(let record) = try await store.commit([run.creation]).first else { throw CannotGoOn() }
            run.record = record
            _ = try await store.commit([.advance(run.advance([EventDraft(.runCompleted)], to: .init(to: .completed)))])
            if let terms {
                let row = NamespaceRow(
                    name: "default", version: 1, terms: terms, changedBy: Sample.person, changedAt: store.now())
                guard try await store.setNamespace(NamespaceChange("default", on: nil, to: row)) else { throw CannotGoOn() }
            }
            if isArchived {
                let digest = [UInt8](repeating: 1, count: 32)
                let note = ArchivedHistory(run: run.number, lastHash: run.head.hash, digest: digest)
                guard try await store.noteArchived([note]) == [run.number] else { throw CannotGoOn() }
            }
        }
        return harness
    }

    @Test func `without settings nothing changes for an earlier release`() async throws {
        let harness = try await harness(nil)
        try harness.tamper(Self.bury, "UPDATE runs SET leftover = 0", Self.remove)
        await harness.remove()
    }

    @Test(arguments: [
        RetentionTerms(), RetentionTerms(closedAfter: .seconds(1)), RetentionTerms(closedAfter: .zero, archives: true),
    ])
    func `an earlier release removes no history that is to stay`(terms: RetentionTerms) async throws {
        let harness = try await harness(terms)
        #expect(throws: (any Error).self) { try harness.tamper(Self.bury) }
        #expect(try harness.ask("SELECT count(*) FROM runs WHERE expired_at IS NULL") == "1")
        await harness.remove()
    }

    @Test func `an earlier release removes what may go, but no tombstone of a namespace with settings`() async throws {
        let harness = try await harness(RetentionTerms(closedAfter: .milliseconds(999), archives: true), isArchived: true)
        try harness.tamper(Self.bury, "UPDATE runs SET leftover = 0")
        #expect(throws: (any Error).self) { try harness.tamper(Self.remove) }
        await harness.remove()
    }

    @Test func `quotas that cannot be read hide those of no other namespace, and nobody starts anything under them`() async throws
    {
        let harness = try SQLiteHarness(), quotas = NamespaceQuotas(starts: Rate(5, per: .seconds(1)))
        try await harness.withStore { store in
            for name in ["bad", "good"] {
                let change = QuotaChange(name, from: NamespaceQuotas(), to: quotas, by: Sample.person)
                guard try await store.setQuotas(change) else { throw CannotGoOn() }
            }
        }
        try harness.tamper("UPDATE quotas SET rate_period = NULL WHERE namespace = 'bad'")
        try await harness.withStore { store in
            #expect(try await store.quotas().map(\.namespace) == ["good"])
            let results = try await store.commit(["bad", "good"].map { SampleRun(namespace: $0).creation })
            guard case .refused(.invalid) = results[0], case .created = results[1] else { throw CannotGoOn() }
            #expect(try await store.audit().contains { $0.contains("quotas of a namespace cannot be read") })
        }
        await harness.remove()
    }

    @Test func `what is left of quotas that were broken off while they were set is taken away with all of them`() async throws {
        let harness = try SQLiteHarness()
        try await harness.withStore { _ in }
        try harness.tamper("INSERT INTO quotas (namespace, changed_by, changed_at) VALUES ('default', 'human:alice', 0)")
        try await harness.withStore { store in
            let none = NamespaceQuotas(), seen = try await store.quotas()
            #expect(seen == [])
            let isSet = try await store.setQuotas(QuotaChange("default", from: none, to: none, by: Sample.person))
            #expect(isSet)
        }
        #expect(try harness.ask("SELECT count(*) FROM quotas") == "0")
        await harness.remove()
    }

    @Test func `settings that cannot be read keep everything, and the audit says so`() async throws {
        let harness = try await harness(RetentionTerms(closedAfter: .zero))
        try harness.tamper("UPDATE namespaces SET changed_by = 'nobody'")
        try await harness.withStore { store in
            harness.clock.advance(by: .days(1_000))
            let answer = try await store.expire(
                ExpiryRequest(closedBefore: harness.clock.now, archives: true, limit: 1_000))
            #expect(answer.expired == 0)
            #expect(try await store.namespaces() == [])
            #expect(try await store.audit().count == 1)
        }
        await harness.remove()
    }
}
