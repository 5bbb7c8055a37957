import Perdure
import PerdureCommands
import PerdureEngine

struct Invoice: Codable {
    var number: String
    var cents: Int
}

struct Paid: Signal {
    struct Payload: Codable { var cents: Int }
    static let name = "paid"
}

struct Dunning: Workflow {
    static let name = "dunning"
    static let version: WorkflowVersion = "1"
    static let owner = "billing"

    func run(_ invoice: Invoice, _ context: WorkflowContext) async throws -> String {
        let mail = try await context.step(
            "send", input: invoice, .idempotent(retention: .days(1)), irreversible: "the customer has read it"
        ) { invoice, step in
            try await Mail.send("Invoice \(invoice.number): \(invoice.cents) cents", key: step.idempotencyKey)
        }
        do {
            let paid = try await context.timeout(.days(14)) { try await context.signal(Paid.self) }
            return "\(mail) was paid with \(paid.cents) cents"
        } catch let failure as StepFailure where failure.code == StepFailure.timedOut {
            try await context.act(
                "hand over", input: invoice, .atMostOnce(inDoubt: .askPerson),
                approval: .required(by: .role("accounting"), within: .days(7)), irreversible: "the agency has it"
            ) { invoice, _ in
                try await Agency.handOver(invoice)
            }
            return "\(mail) was handed over"
        }
    }
}

struct App: PerdureApp {
    static var workflows: Workflows { Dunning() }
}

await App.main()
