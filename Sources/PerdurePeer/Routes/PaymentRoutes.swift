import Hummingbird

/// The payment provider: charges for orders, and refunds of charges.
struct PaymentRoutes {
    let desk: Desk

    private struct ChargeBody: Decodable {
        let order: String
        let cents: Int
    }

    private struct RefundBody: Decodable {
        let charge: String
    }

    private struct Made: Encodable {
        let id: String
    }

    private struct Charge: Encodable {
        let id: String
        let order: String
        let cents: Int
        let refunded: Bool
    }

    private struct Charges: Encodable {
        let charges: [Charge]
    }

    func add(to router: Router<PeerContext>) {
        router.post("payments/charges") { request, context in
            try await desk.serve(.charge, request, context, charge)
        }
        router.post("payments/refunds") { request, context in
            try await desk.serve(.refund, request, context, refund)
        }
        router.get("payments/charges") { request, context in
            try await desk.serve(.findCharges, request, context, find)
        }
    }

    /// Charging the same order twice is two effects: that is what the ledger is there to find.
    @Sendable private func charge(_ incoming: Incoming) throws -> Desk.Order {
        let body = try incoming.body(ChargeBody.self)
        guard (1...1_000_000_000_000).contains(body.cents) else {
            throw Problem.unprocessable("\"cents\" must be from 1 to 1000000000000")
        }
        return Desk.Order(resource: try Incoming.label(body.order, "order"), facts: [String(body.cents)]) { ledger in
            let effect = try ledger.happened(cents: body.cents)
            return .done(effect: effect, Answer(json: try JSON.encode(Made(id: "\(Thing(.charge, effect))"))))
        }
    }

    /// A second refund under another key is a second effect: a refund is safe to repeat only by its key.
    @Sendable private func refund(_ incoming: Incoming) throws -> Desk.Order {
        let body = try incoming.body(RefundBody.self)
        return Desk.Order(resource: try Incoming.label(body.charge, "charge")) { ledger in
            guard let thing = Thing(.charge, id: body.charge), let charge = try ledger.maker(of: thing) else {
                throw Problem.missing("there is no charge \"\(body.charge)\"")
            }
            let effect = try ledger.happened(cents: charge.cents)
            try ledger.undo(charge.id)
            return .done(effect: effect, Answer(json: try JSON.encode(Made(id: "\(Thing(.refund, effect))"))))
        }
    }

    @Sendable private func find(_ incoming: Incoming) throws -> Desk.Order {
        let order = try incoming.query("order")
        return Desk.Order(resource: order) { ledger in
            let charges = try ledger.all(.charge, on: order).map {
                Charge(id: "\(Thing(.charge, $0.id))", order: order, cents: $0.cents ?? 0, refunded: $0.undone)
            }
            return .nothing(Answer(json: try JSON.encode(Charges(charges: charges))))
        }
    }
}
