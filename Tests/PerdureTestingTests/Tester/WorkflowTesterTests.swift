import Foundation
import Perdure
import PerdureEngine
import PerdureTesting
import Testing

/// The test kit as a user's test has it.
@Suite(.timeLimit(.minutes(5))) struct WorkflowTesterTests {
    private struct Outage: ClassifiedError, Codable {
        var isDefinite: Bool { true }
        var isRetryable: Bool { true }
    }

    private func tester(_ shop: ShopWorld = ShopWorld()) async throws -> WorkflowTester {
        try await WorkflowTester {
            Order(shop: shop)
            Note(shop: shop)
        }
    }

    @Test func `days pass at once, and the script says what comes from outside`() async throws {
        let shop = ShopWorld(), tester = try await tester(shop)
        let result = try await tester.run(
            Order.self, input: "tea",
            script: [.signal(Paid.self, "cash", after: .hours(5)), .approve("ship", after: .hours(30))])
        #expect(result == "tea cash mailed")
        #expect(tester.elapsed >= .hours(5 + 30) + .days(2))
        #expect(shop.effects == ["reserved tea": 1, "shipped tea": 1, "mailed tea": 1])
        await tester.close()
    }

    @Test func `scripted outcomes stand in for bodies, and failures are tried again`() async throws {
        let shop = ShopWorld(), tester = try await tester(shop)
        let id = try await tester.start(
            Order.self, input: "tea",
            script: [
                .fails("reserve", with: Outage(), times: 2), .returns("reserve", "r7"), .signal(Paid.self, "cash"), .deny("ship"),
                .undoes("reserve"),
            ])
        try await tester.sleep(for: .days(1))
        let history = try await tester.history(of: id)
        #expect(history.count { $0 == "step.attempt_failed reserve" } == 2)
        #expect(history.contains("undo.succeeded reserve") && history.last == "run.failed", "\(history)")
        #expect(shop.effects == [:])
        await tester.close()
    }

    @Test func `a killed engine goes on where it was`() async throws {
        let shop = ShopWorld(), tester = try await tester(shop)
        let id = try await tester.start(
            Order.self, input: "tea", script: [.signal(Paid.self, "cash", after: .days(1)), .approve("ship")])
        try await tester.sleep(for: .hours(1))
        try await tester.crash()
        try await tester.sleep(for: .days(4))
        #expect(try await tester.history(of: id).last == "run.completed")
        #expect(shop.effects == ["reserved tea": 1, "shipped tea": 1, "mailed tea": 1])
        await tester.close()
    }

    @Test func `a run that nothing will wake fails the test with what it waits for`() async throws {
        let tester = try await tester()
        let failure = await #expect(throws: TestFailure.self) { try await tester.run(Order.self, input: "tea") }
        #expect(failure?.description.contains("waits for a signal") ?? false, "\(failure?.description ?? "")")
    }

    @Test func `what the script wanted in vain is said where a test waits for ever`() async throws {
        let tester = try await tester(), ada = Principal(.human, "ada")
        let denied = await #expect(throws: PerdureError.self) {
            try await tester.run(
                Order.self, input: "tea", script: [.signal(Paid.self, "cash"), .approve("ship", by: ada)], by: ada)
        }
        #expect(denied?.code == .runFailed)
        let failure = await #expect(throws: TestFailure.self) { try await tester.run(Order.self, input: "tea") }
        #expect(failure?.description.contains("cannot approve its actions") ?? false, "\(failure?.description ?? "")")
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func `a seed decides about the order, and always the same way`(seed: UInt64)
        async throws
    {
        func history() async throws -> [String] {
            let shop = ShopWorld()
            let tester = try await WorkflowTester(seed: seed) {
                Order(shop: shop)
                Note(shop: shop)
            }
            let id = try await tester.start(Order.self, input: "tea", script: [.signal(Paid.self, "cash"), .approve("ship")])
            try await tester.sleep(for: .days(4))
            defer { Task { await tester.close() } }
            return try await tester.history(of: id)
        }
        let first = try await history()
        #expect(try await history() == first && first.last == "run.completed")
    }
}
