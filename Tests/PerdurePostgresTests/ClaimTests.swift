import Perdure
import PerdureHistory
import PerdureStore
import PerdureStoreConformance
import Testing

@testable import PerdurePostgres

struct ClaimTests: TwoNodeTests {
    @Test func `a node passes over what another one is just claiming, and takes what stands behind it`() async throws {
        try await withNodes { one, two, harness in
            let items = (0..<4).map { _ in SampleRun(at: harness.clock.now).creation }
            let numbers = try await one.commit(items).compactMap { result in
                if case .created(let record) = result { record.number } else { nil }
            }
            let other = try await harness.database.hold(
                "SELECT 1 FROM perdure.runs WHERE number <= \(numbers[1]) ORDER BY number FOR NO KEY UPDATE")
            var request = Self.request(Self.second)
            request.limit = 2
            #expect(try await two.claim(request).runs.map(\.record.number) == Array(numbers[2...]))
            try await other.commit()
            #expect(try await two.claim(request).runs.map(\.record.number) == Array(numbers[..<2]))
        }
    }

    @Test func `what a look had no room for is not taken for what others have`() async throws {
        try await withNodes { one, two, harness in
            let hosted = ["greeting", "farewell"]
            // Of each workflow one after the other.
            let items = (0..<6).map { SampleRun(workflow: hosted[$0 % 2], at: harness.clock.now + .seconds($0)).creation }
            let numbers = try await one.commit(items).compactMap { result in
                if case .created(let record) = result { record.number } else { nil }
            }
            let other = try await harness.database.hold(
                "SELECT 1 FROM perdure.runs WHERE number <= \(numbers[1]) ORDER BY number FOR NO KEY UPDATE")
            let request = ClaimRequest(
                node: Self.second, build: "b1", hosted: hosted.map { .init(workflow: $0, version: "1") }, limit: 3)
            #expect(try await two.claim(request).runs.map(\.record.number) == Array(numbers[2..<5]))
            try await other.commit()
            #expect(Set(try await two.claim(request).runs.map(\.record.number)) == [numbers[0], numbers[1], numbers[5]])
        }
    }
}
