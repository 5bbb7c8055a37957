import PerdureHistory
import PerdureMemory
import PerdureStore
import PerdureStoreConformance
import Testing

/// One database in memory, which several processes open.
struct MemoryHarness: StoreHarness {
    let clock: ManualClock
    let database: MemoryDatabase

    init(_ ownership: MemoryDatabase.Ownership) {
        let clock = ManualClock()
        self.clock = clock
        database = MemoryDatabase(ownership: ownership) { clock.now }
    }

    func open(_ role: StoreConfiguration.Role) async throws -> any Store {
        try await StoreConfiguration.memory(database).open(role)
    }

    func remove() async {}
}

struct ConformanceTests {
    @Test("A store in memory keeps what a store promises", arguments: StoreConformance.checks + StoreConformance.exclusive)
    func keeps(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: MemoryHarness(.exclusive))
    }

    @Test(
        "So does one that several nodes share under leases",
        arguments: StoreConformance.checks + StoreConformance.leases + StoreConformance.lossesUnderLeases
            + StoreConformance.sharedQueues + StoreConformance.sharedCircuits + StoreConformance.sharedQuotas)
    func keepsUnderLeases(_ promise: ConformanceCheck) async throws {
        try await promise.run(on: MemoryHarness(.leases(.seconds(10))))
    }
}
