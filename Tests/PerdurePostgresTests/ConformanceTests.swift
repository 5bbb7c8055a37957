import PerdureStoreConformance
import Testing

struct ConformanceTests {
    @Test(
        "A store on PostgreSQL keeps what a store promises that several nodes share",
        arguments: StoreConformance.checks + StoreConformance.leases + StoreConformance.lossesUnderLeases
            + StoreConformance.sharedQueues
            + StoreConformance.transactions)
    func keeps(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: PostgresHarness())
    }
}
