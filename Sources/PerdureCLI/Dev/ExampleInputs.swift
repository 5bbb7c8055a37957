import Foundation
import PerdureExamples

/// What the page proposes to start the example workflows with.
enum ExampleInputs {
    /// JSON by workflow.
    static var texts: [String: String] {
        get throws {
            let order = Order(number: "order-7", cents: 4_800)
            return try [
                RotateSecrets.name: text(Rotation(change: "CHG-2041", services: ["billing-api", "ledger"])),
                TakePayment.name: text(order), TakePaymentWithoutKeys.name: text(order), TakePaymentByHand.name: text(order),
                OnboardCustomer.name: text(Customer(name: "ada", order: order, creditLimit: 10_000)),
                ReserveSeat.name: text(Reservation(order: order, patience: 60)),
                ProvisionAccount.name: text(ServiceAccount(name: "reporting", roles: ["read", "export"])),
                DeprovisionAccount.name: text("reporting"),
                RespondToIncident.name: text(Incident(number: "INC-12", service: "billing-api")),
                MoveSystems.name: text(Move(change: "CHG-2050", systems: ["crm", "erp"])),
            ]
        }
    }

    private static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
