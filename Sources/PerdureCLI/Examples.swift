import Foundation
import PerdureCommands
import PerdureEngine
import PerdureExamples

/// The example workflows, against the other side at `PERDURE_PEER` and the bank without idempotency keys at `PERDURE_BANK`.
enum Examples: PerdureApp {
    static var abstract: String {
        "Runs the example workflows, and lets people look at them and move them. 'perdure serve' keeps a store beside the nodes, and "
            + "'perdure config' shows its settings; 'perdure demo' shows what the workflows survive, 'perdure bench' how fast the "
            + "engine is; 'perdure swarm', 'perdure failures', 'perdure soak' and 'perdure simulate' look for what it does not survive."
    }

    static var workflows: Workflows {
        get async throws {
            workflows(
                peer: address("PERDURE_PEER") ?? "http://127.0.0.1:8080", bank: address("PERDURE_BANK") ?? "http://127.0.0.1:8081"
            )
        }
    }

    /// - Parameters: Where the other side is.
    @WorkflowBuilder static func workflows(peer: String, bank: String) -> [RegisteredWorkflow] {
        let peer = PeerClient(address: peer), bank = PeerClient(address: bank)
        RotateSecrets(peer: peer)
        TakePayment(peer: peer)
        TakePaymentWithoutKeys(bank: bank)
        TakePaymentByHand(bank: bank)
        OnboardCustomer(peer: peer)
        ReserveSeat(peer: peer)
        ProvisionAccount(peer: peer)
        DeprovisionAccount(peer: peer)
        RespondToIncident(peer: peer, network: bank)
        MoveSystems(peer: peer)
    }

    private static func address(_ variable: String) -> String? { ProcessInfo.processInfo.environment[variable] }
}
