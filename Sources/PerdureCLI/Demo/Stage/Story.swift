import Foundation
import PerdureExamples
import PerdurePeer

/// What is shown one after the other: runs that are started together, and the kills that they have to survive.
struct Story: Sendable {
    enum Kill: Sendable {
        /// The engine kills itself at exactly this moment.
        case at(CrashRule)
        /// It is killed from outside after this many committed events.
        case random(after: Int)
        /// It is killed while the peer has done the charge and keeps the answer; then the run gets a signal, and nobody is there.
        case thenSignal(key: String)
    }

    var title: String
    var starts: [EngineSetup.Start]
    var kills: [Kill]
    /// How the peer misbehaves besides.
    var trouble: [(PeerOperation, Behaviour)] = []
}

extension Story {
    /// All stories, the same for the same seed.
    static func all(seed: UInt64) throws -> [Story] {
        var random = SeededGenerator(seed: seed)
        return [
            try rotation(&random), try payments(&random), try onboarding(&random), try provisioning(), try deprovisioning(),
            try incident(), try races(&random), try storm(&random),
        ]
    }

    static let services = ["billing", "ledger", "search", "mailer", "archive"]

    private static func rotation(_ random: inout SeededGenerator) throws -> Story {
        let rotation = Rotation(change: "CHG-\(Int.random(in: 1_000...9_999, using: &random))", services: services)
        let workflow = RotateSecrets.name
        func one(of count: Int) -> Int { Int.random(in: 1...count, using: &random) }
        return Story(
            title: "Secret rotation over five services, one approval, half of them failing at first",
            starts: [try .init(workflow, key: rotation.change, input: rotation)],
            kills: [
                .at(CrashRule(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "issue-key")),
                .at(CrashRule(.afterEffect, .answered, "POST /vault/keys", count: one(of: 2))),
                .at(CrashRule(.afterOutcome, .afterCommit, "step.succeeded", subject: "issue-key")),
                .at(CrashRule(.afterSend, .sent, "POST /vault/keys")),
                .random(after: one(of: 4)),
                .at(CrashRule(.approval, .beforeCommit, "approval.decided")),
                .at(CrashRule(.approval, .afterCommit, "approval.decided")),
                .at(CrashRule(.beforeIntent, .beforeCommit, "step.intended", subject: "announce")),
                .at(CrashRule(.afterIntent, .afterCommit, "step.intended", subject: "announce")),
                .at(CrashRule(.beforeIntent, .beforeCommit, "step.intended", subject: "switch")),
                .at(CrashRule(.afterEffect, .answered, "POST /vault/services")),
                .at(CrashRule(.recovery, .takeover)),
                .at(CrashRule(.afterIntent, .afterCommit, "step.intended", subject: "switch", count: one(of: 2))),
                .random(after: one(of: 3)),
            ],
            trouble: [
                (.issueKey, Behaviour(failBefore: 2, failAfterEffect: 1)),
                (.activateKey, Behaviour(failBefore: 1, dropAfterEffect: 1)),
            ])
    }

    private static func payments(_ random: inout SeededGenerator) throws -> Story {
        func order(_ name: String) -> Order { Order(number: name, cents: Int.random(in: 100...99_999, using: &random)) }
        let shared = order("order-1")
        let starts: [EngineSetup.Start] = [
            // First, so that the kill at its intent finds the others at their beginning.
            try .init(TakePaymentByHand.name, key: "order-5", input: order("order-5")),
            try .init(TakePayment.name, key: "order-1", input: shared),
            try .init(TakePayment.name, key: "order-1-again", input: shared),
            try .init(TakePayment.name, key: "order-2", input: order("order-2")),
            try .init(TakePaymentWithoutKeys.name, key: "order-3", input: order("order-3")),
            try .init(TakePaymentWithoutKeys.name, key: "order-4", input: order("order-4")),
        ]
        return Story(
            title: "Payments: a provider with idempotency keys, one without, and one that only a person can ask", starts: starts,
            kills: [
                .at(
                    CrashRule(.beforeIntent, .beforeCommit, "step.intended", subject: "charge", workflow: TakePaymentByHand.name)),
                .at(CrashRule(.afterEffect, .answered, "POST /payments/charges")),
                // Whatever was answered belongs to a run that is owned, so there is something to take over.
                .at(CrashRule(.recovery, .takeover)),
                .at(CrashRule(.timer, .afterCommit, "timer.started")),
                .at(CrashRule(.timer, .beforeCommit, "timer.fired")),
                .at(CrashRule(.beforeOutcome, .beforeCommit, "step.succeeded", subject: "receipt")),
                .random(after: Int.random(in: 1...3, using: &random)),
            ],
            trouble: [(.charge, Behaviour(failAfterEffect: 1)), (.sendMessage, Behaviour(dropAfterEffect: 1))])
    }

    private static func onboarding(_ random: inout SeededGenerator) throws -> Story {
        let starts = try ["acme", "globex"].map { name in
            let order = Order(number: "first-\(name)", cents: Int.random(in: 50_000...90_000, using: &random))
            return try EngineSetup.Start(
                OnboardCustomer.name, key: name, input: Customer(name: name, order: order, creditLimit: 10_000))
        }
        return Story(
            title: "Onboarding that fails late and takes everything back", starts: starts,
            kills: [
                .at(CrashRule(.afterOutcome, .afterCommit, "step.succeeded", subject: "charge")),
                .at(CrashRule(.unwinding, .beforeCommit, "undo.started", subject: "charge")),
                .at(CrashRule(.unwinding, .answered, "POST /payments/refunds")),
                .at(CrashRule(.unwinding, .beforeCommit, "undo.succeeded", subject: "account")),
                .at(CrashRule(.unwinding, .sent, "POST /mail/messages")),
                .random(after: Int.random(in: 1...2, using: &random)),
            ],
            trouble: [(.createAccount, Behaviour(failAfterEffect: 1)), (.refund, Behaviour(failBefore: 1, dropAfterEffect: 1))])
    }

    private static func races(_ random: inout SeededGenerator) throws -> Story {
        func seat(_ name: String, patience: Int) throws -> EngineSetup.Start {
            let order = Order(number: name, cents: Int.random(in: 1_000...9_999, using: &random))
            return try .init(ReserveSeat.name, key: name, input: Reservation(order: order, patience: patience))
        }
        return Story(
            title: "Races: a charge, a change of mind and a timer", starts: [try seat("seat-1", patience: 3_600_000)],
            kills: [
                .thenSignal(key: "seat-1"),
                .at(CrashRule(.race, .beforeCommit, "signal.received", workflow: ReserveSeat.name)),
                .at(CrashRule(.race, .afterCommit, "signal.received", workflow: ReserveSeat.name)),
                .at(CrashRule(.recovery, .takeover, workflow: ReserveSeat.name)),
                .at(CrashRule(.unwinding, .beforeCommit, "undo.succeeded", workflow: ReserveSeat.name)),
            ])
    }
}

extension Story {
    private static func storm(_ random: inout SeededGenerator) throws -> Story {
        let starts = try (10..<20).map { number in
            let order = Order(number: "order-\(number)", cents: Int.random(in: 100...99_999, using: &random))
            let workflow = number.isMultiple(of: 3) ? TakePaymentWithoutKeys.name : TakePayment.name
            return try EngineSetup.Start(workflow, key: order.number, input: order)
        }
        return Story(
            title: "Ten payments at once, killed at random", starts: starts,
            kills: (0..<10).map { _ in .random(after: Int.random(in: 3...15, using: &random)) },
            trouble: [(.charge, Behaviour(failBefore: 3, failAfterEffect: 3)), (.sendMessage, Behaviour(dropAfterEffect: 4))])
    }
}

extension Behaviour {
    /// A peer that is in trouble for so many requests.
    init(failBefore: Int = 0, failAfterEffect: Int = 0, dropAfterEffect: Int = 0) {
        self.init()
        self.failBefore = failBefore
        self.failAfterEffect = failAfterEffect
        self.dropAfterEffect = dropAfterEffect
    }
}
