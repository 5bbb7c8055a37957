import Perdure
import PerdureEngine
import PerdureExamples
package import PerdureTesting

/// The stories of docs/stories.md as far as they need no server: each is a workflow, the other side with its misfortunes, and what people
/// do.
package enum Stories {
    /// One story.
    package struct Story: Sendable, CustomStringConvertible {
        package let title: String
        package let matrix: CrashMatrix
        package var description: String { title }
    }

    package static var all: [Story] { access + payments + people }

    // MARK: Access

    private static var access: [Story] {
        [
            Story(
                title: "secrets are rotated, and half of the services fail at the switch",
                matrix: CrashMatrix(
                    { RotateSecrets(peer: $0.client) }, input: Rotation(change: "C-1", services: ["db", "mail", "queue", "web"]),
                    world: rotation, script: [.approve("announce", after: .hours(20))])),
            Story(
                title: "a service account is provisioned through an outage of the directory",
                matrix: CrashMatrix(
                    { ProvisionAccount(peer: $0.client) }, input: account,
                    world: { FakePeer(troubles: [.init(.isDown, at: "/directory", times: 4)]) })),
            Story(
                title: "a service account is refused a role, and nothing of it stays",
                matrix: CrashMatrix(
                    { ProvisionAccount(peer: $0.client) }, input: account,
                    world: { FakePeer(troubles: [.init(.refuses, at: "/vault/services")]) })),
            Story(
                title: "an account is taken away through an outage",
                matrix: CrashMatrix(
                    { DeprovisionAccount(peer: $0.client) }, input: "backup",
                    world: {
                        FakePeer(
                            service: "backup",
                            troubles: [
                                .init(.losesAnswer, at: "/vault/keys", times: 1), .init(.isDown, at: "/directory", times: 3),
                            ])
                    })),
            Story(
                title: "systems are moved between two approvals, through an outage",
                matrix: CrashMatrix(
                    { MoveSystems(peer: $0.client) }, input: Move(change: "C-2", systems: ["mail", "wiki", "chat"]),
                    world: { FakePeer(troubles: [.init(.isDown, at: "/directory", times: 5)]) },
                    script: [.approve("announce", after: .days(2)), .approve("cut-over", after: .days(1))])),
        ]
    }

    private static let account = ServiceAccount(name: "backup", roles: ["reader", "writer"])

    /// Two of four services fail at the switch: one does not do it and says nothing, one does it and says nothing.
    private static func rotation() -> FakePeer {
        FakePeer(troubles: [
            .init(.isDown, at: "/vault/services/mail", times: 3), .init(.losesAnswer, at: "/vault/services/web", times: 1),
        ])
    }

    // MARK: Payments

    private static var payments: [Story] {
        let order = Order(number: "7", cents: 500)
        let peer: @Sendable () -> FakePeer = { FakePeer(troubles: [.init(.losesAnswer, at: "/payments", times: 1)]) }
        let bank: @Sendable () -> FakePeer = {
            FakePeer(knowsKeys: false, troubles: [.init(.losesAnswer, at: "/payments", times: 1)])
        }
        return [
            Story(
                title: "a payment at a provider that recognises keys",
                matrix: CrashMatrix({ TakePayment(peer: $0.client) }, input: order, world: peer)),
            Story(
                title: "a payment at a provider that can be asked",
                matrix: CrashMatrix({ TakePaymentWithoutKeys(bank: $0.client) }, input: order, world: bank)),
            Story(
                title: "a payment at a provider that only a person can ask",
                matrix: CrashMatrix(
                    { TakePaymentByHand(bank: $0.client) }, input: order, world: { FakePeer(knowsKeys: false) })),
            Story(
                title: "a customer changes their mind",
                matrix: CrashMatrix(
                    { ReserveSeat(peer: $0.client) }, input: Reservation(order: order, patience: 60_000),
                    world: { FakePeer() }, script: [.signal(Withdrawal.self, "found a better one")], endMayDiffer: true)),
        ]
    }

    // MARK: People

    private static var people: [Story] {
        let order = Order(number: "7", cents: 500)
        return [
            Story(
                title: "the onboarding of a customer fails late",
                matrix: CrashMatrix(
                    { OnboardCustomer(peer: $0.client) }, input: Customer(name: "ada", order: order, creditLimit: 100),
                    world: { FakePeer(troubles: [.init(.losesAnswer, at: "/payments/refunds", times: 1)]) })),
            Story(
                title: "an incident is looked into while a system never answers",
                matrix: CrashMatrix(
                    { RespondToIncident(peer: $0.peer.client, network: $0.network.client) },
                    input: Incident(number: "I-1", service: "db"), world: IncidentSides.init, endMayDiffer: true)),
        ]
    }
}

/// The incident's other sides: one that recognises keys and has a part that hangs, and a network that does not.
package struct IncidentSides: TestWorld {
    package let peer = FakePeer(troubles: [.init(.hangs, at: "/payments")]), network = FakePeer(knowsKeys: false)
    package var effects: [String: Int] { peer.effects.merging(network.effects, uniquingKeysWith: +) }

    package init() {}
}
