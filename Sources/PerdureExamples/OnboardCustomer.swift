public import Perdure

/// Who is to be onboarded.
public struct Customer: Codable, Hashable, Sendable {
    /// The customer's name.
    public let name: String
    /// The first invoice.
    public let order: Order
    /// What the customer may owe.
    public let creditLimit: Int

    /// A customer.
    public init(name: String, order: Order, creditLimit: Int) {
        self.name = name
        self.order = order
        self.creditLimit = creditLimit
    }
}

/// Welcomes a customer, opens a record and an account, takes the first payment, and checks the credit last.
///
/// If the check says no, everything before it is undone in reverse order: refund, deprovision, mark cancelled, apologise. Each of
/// these is a durable step of its own; a crash in the middle of the unwinding only makes it late.
public struct OnboardCustomer: Workflow {
    public static let name = "onboard-customer"
    public static let version: WorkflowVersion = "1"
    public static let owner = "customer-success"

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How each step is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ customer: Customer, _ context: WorkflowContext) async throws -> Account {
        let keys = Retention.days(1)
        try await context.act("welcome", input: customer.name, .idempotent(retention: keys), policy: policy) { name, step in
            try await peer.mail("welcome", to: name, "We are glad to have you.", step)
        } undo: { name, step in
            try await peer.mail("apology", to: name, "We are sorry: it did not work out.", step)
        }
        try await context.step("record", input: "customer \(customer.name)", .idempotent(retention: keys), policy: policy) {
            name, step in
            try await peer.createAccount(name, step)
        } undo: { record, step in
            try await peer.grant("cancelled", to: record, step)
        }
        let account = try await context.step("account", input: customer.name, .idempotent(retention: keys), policy: policy) {
            name, step in
            try await peer.createAccount(name, step)
        } undo: { account, step in
            try await peer.remove(account, step)
        }
        try await context.act(
            "role", input: account, .idempotent(retention: keys), policy: policy, irreversible: "it goes with the account"
        ) { account, step in
            try await peer.grant("admin", to: account, step)
        }
        try await context.step("charge", input: customer.order, .idempotent(retention: keys), policy: policy) { order, step in
            try await peer.charge(order, step)
        } undo: { charge, step in
            try await peer.refund(charge, step)
        }
        _ = try await context.read("credit-check", input: customer) { customer, _ in
            guard customer.order.cents <= customer.creditLimit else {
                throw Rejected("\(customer.name) may not owe \(customer.order.cents) cents")
            }
            return true
        }
        return account
    }
}
