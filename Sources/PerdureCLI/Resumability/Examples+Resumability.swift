import Perdure
import PerdureEngine
import PerdureExamples
import PerdureTesting

// What 'perdure resumability' tries.
extension Examples {
    static var resumability: [CrashMatrix] {
        let order = Order(number: "7", cents: 500), peer: @Sendable () -> FakePeer = { FakePeer() }
        let bank: @Sendable () -> FakePeer = { FakePeer(knowsKeys: false) }
        return [
            CrashMatrix(
                { RotateSecrets(peer: $0.client) }, input: Rotation(change: "C-1", services: ["db", "mail", "queue"]),
                world: peer,
                script: [.approve("announce", after: .hours(20))]),
            CrashMatrix({ TakePayment(peer: $0.client) }, input: order, world: peer),
            CrashMatrix({ TakePaymentWithoutKeys(bank: $0.client) }, input: order, world: bank),
            CrashMatrix({ TakePaymentByHand(bank: $0.client) }, input: order, world: bank),
            CrashMatrix(
                { OnboardCustomer(peer: $0.client) }, input: Customer(name: "ada", order: order, creditLimit: 100), world: peer),
            CrashMatrix(
                { ReserveSeat(peer: $0.client) }, input: Reservation(order: order, patience: 60_000), world: peer,
                script: [.signal(Withdrawal.self, "found a better one")], endMayDiffer: true),
            CrashMatrix(
                { ProvisionAccount(peer: $0.client) }, input: ServiceAccount(name: "backup", roles: ["reader", "writer"]),
                world: peer),
            CrashMatrix(
                { DeprovisionAccount(peer: $0.client) }, input: "backup", world: { FakePeer(service: "backup") }),
            CrashMatrix(
                { RespondToIncident(peer: $0.peer.client, network: $0.network.client) },
                input: Incident(number: "I-1", service: "db"),
                world: FakeSides.init, endMayDiffer: true),
            CrashMatrix(
                { MoveSystems(peer: $0.client) }, input: Move(change: "C-2", systems: ["mail", "wiki", "chat"]), world: peer,
                script: [.approve("announce", after: .days(2)), .approve("cut-over", after: .days(1))]),
        ]
    }
}

/// The incident's other sides: one that recognises keys, and a network that does not.
private struct FakeSides: TestWorld {
    let peer = FakePeer(), network = FakePeer(knowsKeys: false)
    var effects: [String: Int] { peer.effects.merging(network.effects, uniquingKeysWith: +) }
}
