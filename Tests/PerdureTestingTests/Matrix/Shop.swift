import Foundation
import Perdure
import PerdureTesting

/// The other side of a shop, and what is sold there.
final class ShopWorld: TestWorld {
    let ledger = EffectLedger()
    var effects: [String: Int] { ledger.effects }
}

enum Paid: Signal {
    static let name = "paid"
    typealias Payload = String
}

/// Reserves, waits for the money, ships with approval, and tells the customer.
struct Order: Workflow {
    static let name = "order"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"
    let shop: ShopWorld

    func run(_ item: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("reserve", input: item, .idempotent(retention: .forever)) { [shop] item, step in
            shop.ledger.perform("reserved \(item)", key: step.idempotencyKey, answer: "r1")
        } undo: { [shop] _, step in
            shop.ledger.undo("reserved tea", key: step.idempotencyKey)
        }
        let payment = try await context.signal(Paid.self)
        try await context.act(
            "ship", input: item,
            .atMostOnce(
                inDoubt: .probe { [shop] item, _ in shop.ledger.stands("shipped \(item)") ? .happened(()) : .didNotHappen }),
            approval: .required(by: .role("clerk"), within: .days(3)), irreversible: "it is on its way"
        ) { [shop] item, _ in
            shop.ledger.perform("shipped \(item)")
        }
        try await context.sleep(for: .days(2))
        let note = try await context.child(Note.self, input: item, irreversible: "it was read")
        return "\(item) \(payment) \(note)"
    }
}

struct Note: Workflow {
    static let name = "note"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"
    let shop: ShopWorld

    func run(_ item: String, _ context: WorkflowContext) async throws -> String {
        try await context.step("mail", input: item, .idempotent(retention: .forever), irreversible: "it was read") {
            [shop] item, step in
            shop.ledger.perform("mailed \(item)", key: step.idempotencyKey, answer: "mailed")
        }
    }
}

enum Count: Update {
    static let name = "count"
    typealias Payload = Int
    typealias Reply = String
}

/// Counts once what an update that makes sense says.
struct Counter: Workflow {
    static let name = "counter"
    static let owner = "tests"
    static let version: WorkflowVersion = "1"
    let shop: ShopWorld

    func run(_ item: String, _ context: WorkflowContext) async throws -> String {
        try await context.update(Count.self, validate: { if $0 < 1 { throw BadCount() } }) { [shop] count in
            try await context.act(
                "count", input: "\(count) \(item)", .idempotent(retention: .forever), irreversible: "it is known"
            ) {
                things, step in
                shop.ledger.perform("counted \(things)", key: step.idempotencyKey)
            }
            return "there are \(count)"
        }
    }

    private struct BadCount: Error {}
}

/// Orders that are wrong in one way each.
struct BadOrder: Workflow {
    enum Fault: String, Codable, Sendable {
        /// Declared idempotent, but the other side is not told the key.
        case noKey
        /// Acts in the workflow's own code.
        case actsOutside
        /// Acts when it is thrown out of memory.
        case actsInCatch
    }

    static let name = "bad-order"
    static let version: WorkflowVersion = "1"
    static let owner = "shop"
    let shop: ShopWorld

    func run(_ fault: Fault, _ context: WorkflowContext) async throws -> String {
        if fault == .actsOutside { shop.ledger.perform("counted") }
        try await context.act("charge", input: fault, .idempotent(retention: .forever), irreversible: "paid") {
            [shop] fault, step in
            if fault == .noKey {
                shop.ledger.perform("charged")
            } else {
                shop.ledger.perform("charged", key: step.idempotencyKey)
            }
        }
        do {
            try await context.sleep(for: .days(1))
        } catch {
            if fault == .actsInCatch { shop.ledger.perform("complained") }
            throw error
        }
        return "done"
    }
}
