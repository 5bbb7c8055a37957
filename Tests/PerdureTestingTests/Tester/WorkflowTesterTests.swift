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

    @Test func `a script is for its own run and that run's children`() async throws {
        let shop = ShopWorld(), tester = try await tester(shop)
        let scripted = try await tester.start(
            Order.self, input: "tea",
            script: [.signal(Paid.self, "cash"), .approve("ship"), .returns("mail", "scripted")])
        let waiting = try await tester.start(Order.self, input: "milk", script: [.signal(Paid.self, "cash")])
        let denied = try await tester.start(Order.self, input: "oil", script: [.signal(Paid.self, "cash"), .deny("ship")])
        #expect(
            try await tester.run(Order.self, input: "cake", script: [.signal(Paid.self, "card"), .approve("ship")])
                == "cake card mailed")
        let result = try await tester.perform { try await $0.result(of: scripted) }
        #expect(String(decoding: result, as: UTF8.self) == #""tea cash scripted""#)
        #expect(try await !tester.history(of: waiting).contains("approval.decided ship"))
        #expect(try await tester.history(of: denied).last == "run.failed")
        #expect(shop.effects["mailed tea"] == nil && shop.effects["shipped milk"] == nil && shop.effects["mailed cake"] == 1)
        await tester.close()
    }

    @Test func `a run that could not be started leaves no script behind`() async throws {
        let shop = ShopWorld(), tester = try await tester(shop)
        let refused = await #expect(throws: PerdureError.self) {
            try await tester.run(Counter.self, input: "tea", script: [.returns("mail", "scripted")])
        }
        #expect(refused?.code == .workflowUnknown)
        #expect(try await tester.run(Note.self, input: "tea") == "mailed")
        await tester.close()
    }

    @Test func `an update is taken in and answered`() async throws {
        let shop = ShopWorld()
        let tester = try await WorkflowTester { Counter(shop: shop) }
        let reply = try await tester.run(
            Counter.self, input: "tea", script: [.update(Count.self, 0), .update(Count.self, 3, after: .days(1))])
        #expect(reply == "there are 3" && tester.elapsed >= .days(1))
        #expect(shop.effects == ["counted 3 tea": 1])
        await tester.close()
    }

    @Test func `a test that is over says so in its own words, also of a crash`() async throws {
        let tester = try await tester()
        let id = try await tester.start(Order.self, input: "tea")
        await #expect(throws: TestFailure.self) { try await tester.perform { _ = try await $0.result(of: id) } }
        await #expect(throws: TestFailure.self) { try await tester.crash() }
        await #expect(throws: TestFailure.self) { try await tester.history(of: id) }
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
