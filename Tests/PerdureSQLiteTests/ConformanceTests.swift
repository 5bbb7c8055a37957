import PerdureStoreConformance
import Testing

struct ConformanceTests {
    @Test(
        "SQLite keeps what a store promises",
        arguments: StoreConformance.checks + StoreConformance.transactions + StoreConformance.exclusive)
    func keeps(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: SQLiteHarness())
    }
}
