import PerdureStoreConformance
import Testing

struct ConformanceTests {
    private static let promises =
        StoreConformance.checks + StoreConformance.leases + StoreConformance.lossesUnderLeases + StoreConformance.sharedQueues
        + StoreConformance.sharedCircuits + StoreConformance.sharedQuotas + StoreConformance.transactions

    @Test("A store on PostgreSQL keeps what a store promises that several nodes share", arguments: promises)
    func keeps(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: PostgresHarness())
    }

    @Test("So does one behind a pooler that gives each connection a session", arguments: promises)
    func keepsBehindPooler(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: PostgresHarness(behind: .session))
    }
}
