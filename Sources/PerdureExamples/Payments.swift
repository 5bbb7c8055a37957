public import Perdure

/// What a customer has ordered.
public struct Order: Codable, Hashable, Sendable {
    /// The business's own number for it.
    public let number: String
    /// What it costs.
    public let cents: Int

    /// An order.
    public init(number: String, cents: Int) {
        self.number = number
        self.cents = cents
    }
}

/// Charges an order at a provider that honours idempotency keys, waits for the settlement, and sends the receipt.
///
/// The order's number is the business key: however many runs are started for one order, it is charged once.
public struct TakePayment: Workflow {
    public static let name = "take-payment"
    public static let version: WorkflowVersion = "1"
    public static let owner = "payments"

    let peer: PeerClient
    let policy: StepPolicy
    let settlement: Duration

    /// - Parameters:
    ///   - policy: How each step is retried.
    ///   - settlement: How long the provider takes to settle a charge.
    public init(peer: PeerClient, policy: StepPolicy = .default, settlement: Duration = .hours(2)) {
        self.peer = peer
        self.policy = policy
        self.settlement = settlement
    }

    public func run(_ order: Order, _ context: WorkflowContext) async throws -> Charge {
        let charge = try await context.step(
            "charge", key: order.number, input: order, .idempotent(retention: .days(1)), policy: policy
        ) { order, step in
            try await peer.charge(order, step)
        } undo: { charge, step in
            try await peer.refund(charge, step)
        }
        try await context.sleep(for: settlement, name: "settlement")
        try await context.act(
            "receipt", key: order.number, input: order, .idempotent(retention: .days(1)), policy: policy,
            irreversible: "the receipt is out"
        ) { order, step in
            try await peer.mail("receipt", to: "\(order.number)@example.org", "We have received \(order.cents) cents.", step)
        }
        return charge
    }
}

/// Charges an order at a provider that knows no idempotency keys but can be asked what it has charged.
///
/// The charge is sent at most once. If nobody knows whether it happened, the provider is asked.
public struct TakePaymentWithoutKeys: Workflow {
    public static let name = "take-payment-without-keys"
    public static let version: WorkflowVersion = "1"
    public static let owner = "payments"

    let bank: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How the charge is retried where it surely did not happen.
    public init(bank: PeerClient, policy: StepPolicy = .default) {
        self.bank = bank
        self.policy = policy
    }

    public func run(_ order: Order, _ context: WorkflowContext) async throws -> Charge {
        try await context.step(
            "charge", input: order,
            .atMostOnce(
                inDoubt: .probe { order, step in
                    let charges = try await bank.charges(of: order, step)
                    if let charge = charges.first { return .happened(charge) }
                    return .didNotHappen
                }), policy: policy
        ) { order, step in
            try await bank.charge(order, step)
        } undo: { charge, step in
            try await bank.refund(charge, step)
        }
    }
}

/// Charges an order at a provider that knows no idempotency keys and answers no questions.
///
/// If nobody knows whether the charge happened, the run parks until a person has found out.
public struct TakePaymentByHand: Workflow {
    public static let name = "take-payment-by-hand"
    public static let version: WorkflowVersion = "1"
    public static let owner = "payments"

    let bank: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How the charge is retried where it surely did not happen.
    public init(bank: PeerClient, policy: StepPolicy = .default) {
        self.bank = bank
        self.policy = policy
    }

    public func run(_ order: Order, _ context: WorkflowContext) async throws -> Charge {
        try await context.step(
            "charge", input: order, .atMostOnce(inDoubt: .askPerson), policy: policy,
            irreversible: "this provider pays nothing back"
        ) { order, step in
            try await bank.charge(order, step)
        }
    }
}
