public import Perdure

/// A customer's change of mind.
public enum Withdrawal: Signal {
    public static let name = "withdrawal"
    /// Why.
    public typealias Payload = String
}

/// A seat, its price, and how long the customer waits for it.
public struct Reservation: Codable, Hashable, Sendable {
    /// What is charged for the seat.
    public let order: Order
    /// How long the charge may take, in milliseconds.
    public let patience: Int

    /// A reservation.
    public init(order: Order, patience: Int) {
        self.order = order
        self.patience = patience
    }
}

/// Charges for a seat, unless the customer withdraws or loses patience first.
///
/// Three things race: the charge, a signal and a timer. History decides which was first, so a crash cannot change the outcome. A
/// charge that lost although it happened is paid back before the run ends.
public struct ReserveSeat: Workflow {
    public static let name = "reserve-seat"
    public static let version: WorkflowVersion = "1"
    public static let owner = "bookings"

    /// What the race came to.
    public enum Ending: Codable, Hashable, Sendable {
        /// The seat is the customer's.
        case charged(Charge)
        /// The customer has withdrawn.
        case withdrawn(String)
        /// It took too long.
        case tooLate
    }

    let peer: PeerClient
    let policy: StepPolicy

    /// - Parameter policy: How the charge is retried.
    public init(peer: PeerClient, policy: StepPolicy = .default) {
        self.peer = peer
        self.policy = policy
    }

    public func run(_ reservation: Reservation, _ context: WorkflowContext) async throws -> Ending {
        try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask {
                let charge = try await context.step(
                    "charge", input: reservation.order, .idempotent(retention: .days(1)), policy: policy
                ) { order, step in
                    try await peer.charge(order, step)
                } undo: { charge, step in
                    try await peer.refund(charge, step)
                }
                return .charged(charge)
            }
            group.addTask { .withdrawn(try await context.signal(Withdrawal.self)) }
            group.addTask {
                try await context.sleep(for: .milliseconds(reservation.patience), name: "patience")
                return .tooLate
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { return .tooLate }
            return first
        }
    }
}
