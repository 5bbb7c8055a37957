import Perdure
import PerdureEngine
import PerdureSQLite

struct Order: Codable { var id: String, cents: Int }

struct Purchase: Workflow {
    static let name = "purchase"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"

    func run(_ order: Order, _ context: WorkflowContext) async throws -> String {
        let charge = try await context.step("charge", input: order, .idempotent(retention: .days(1))) { order, step in
            try await Payments.charge(order, key: step.idempotencyKey)
        } undo: { charge, step in
            try await Payments.refund(charge, key: step.idempotencyKey)
        }
        try await context.sleep(for: .seconds(1))  // or for weeks: the wait survives restarts
        try await context.act("ship", input: order.id, .atMostOnce(inDoubt: .askPerson), irreversible: "it has left") { id, _ in
            try await Warehouse.ship(id)
        }
        return charge
    }
}

let engine = try await Engine(store: .sqlite("shop.db")) { Purchase() }
async let running: Void = engine.run()
let order = Order(id: "7", cents: 4_200)
let run = try await engine.start(Purchase.self, input: order, key: "order-7", by: Principal(.human, "ada"))
print("\(run.id) ended with \(try await run.result())")
