import Foundation
import Perdure
import PerdureCLI
import PerdureEngine
import PerdureExamples
import PerdureTesting
import Testing

/// Stories about money, each in virtual time with a misfortune in its middle.
@Suite(.timeLimit(.minutes(5))) struct PaymentStoryTests {
    private static let order = Order(number: "7", cents: 500)

    // Promise: 11
    @Test func `two runs for one order charge it once, though the answer is lost and the process dies`() async throws {
        let peer = FakePeer(troubles: [.init(.losesAnswer, at: "/payments/charges", times: 1)])
        let tester = try await WorkflowTester { TakePayment(peer: peer.client) }
        let first = try await tester.start(TakePayment.self, input: Self.order, key: "first")
        let second = try await tester.start(TakePayment.self, input: Self.order, key: "second")
        try await tester.crash()
        try await tester.sleep(for: .hours(3))
        for run in [first, second] { #expect(try await tester.history(of: run).last == "run.completed") }
        #expect(peer.effects == ["charge of 7": 1, "mail 'receipt' to 7@example.org": 1])
        await tester.close()
    }

    // Promise: 13
    @Test func `a provider without keys is asked, and not charged twice`() async throws {
        let bank = FakePeer(knowsKeys: false, troubles: [.init(.losesAnswer, at: "/payments/charges", times: 1)])
        let tester = try await WorkflowTester { TakePaymentWithoutKeys(bank: bank.client) }
        try await tester.run(TakePaymentWithoutKeys.self, input: Self.order)
        #expect(bank.effects == ["charge of 7": 1])
        await tester.close()
    }

    // Promise: 13, 14
    @Test func `a provider that nobody can ask makes the run wait for a person`() async throws {
        let bank = FakePeer(knowsKeys: false, troubles: [.init(.losesAnswer, at: "/payments/charges", times: 1)])
        let tester = try await WorkflowTester { TakePaymentByHand(bank: bank.client) }
        let run = try await tester.start(TakePaymentByHand.self, input: Self.order)
        try await tester.sleep(for: .days(30))
        #expect(try await tester.history(of: run).suffix(2) == ["step.in_doubt charge", "run.parked"])
        let charge = try JSONEncoder().encode(["id": "c1"])
        try await tester.perform { engine in
            try await engine.client.resolve(
                run, step: "charge", .happened(result: charge), reason: "it is on the statement", by: ScriptedEvent.person)
        }
        try await tester.sleep(for: .minutes(1))
        #expect(try await tester.history(of: run).last == "run.completed" && bank.effects == ["charge of 7": 1])
        await tester.close()
    }

    // Promise: 19
    @Test func `an onboarding that fails late is taken back in reverse order, with a crash in the unwinding`() async throws {
        let peer = FakePeer()
        peer.suffer(.init(.isDown, at: "/payments/refunds"))
        let tester = try await WorkflowTester { OnboardCustomer(peer: peer.client) }
        let run = try await tester.start(
            OnboardCustomer.self, input: Customer(name: "ada", order: Self.order, creditLimit: 100))
        try await tester.sleep(for: .hours(1))
        #expect(peer.effects["charge of 7"] == 1, "the refund comes first, and nothing older is undone before it")
        #expect(peer.effects["account ada"] == 1)
        try await tester.crash()
        peer.suffer()
        try await tester.sleep(for: .minutes(10))
        let undone = try await tester.history(of: run).filter { $0.hasPrefix("undo.succeeded") }
        #expect(undone == ["charge", "account", "record", "welcome"].map { "undo.succeeded \($0)" })
        #expect(try await tester.history(of: run).last == "run.failed")
        #expect(
            peer.effects == [
                "account customer ada": 1, "customer ada is cancelled": 1, "mail 'welcome' to ada": 1, "mail 'apology' to ada": 1,
            ])
        await tester.close()
    }
}
