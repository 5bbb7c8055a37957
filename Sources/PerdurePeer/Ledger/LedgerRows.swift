package import GRDB

/// One request that arrived, whatever became of it.
package struct PeerRequest: Codable, Equatable, Sendable {
    /// What became of a request.
    package enum Outcome: String, Codable, Sendable {
        /// It did its work: there is an effect.
        case performed
        /// Its key was recognised; it was given the recorded answer.
        case replayed
        /// There was nothing left to do, such as revoking a key that is gone.
        case unchanged
        /// It only looked.
        case read
        /// It was turned away without an effect.
        case refused
    }

    /// Position in the ledger, growing.
    package let id: Int64
    /// Microseconds since 1970.
    package let at: Int64
    /// The operation asked for.
    package let operation: PeerOperation
    /// What it was about: an order, a service, an account, an address. Empty if the request could not be read.
    package let resource: String
    /// The `Idempotency-Key` it carried.
    package let idempotencyKey: String?
    /// The `Perdure-Attempt` it carried, as sent.
    package let attempt: String?
    /// What became of it.
    package let outcome: Outcome
    /// The HTTP status it was answered with, or will be once released; none if the connection was dropped.
    package let status: Int?
    /// The effect it had, if it had one.
    package let effect: Int64?
}

/// Something that really happened in the peer's world.
package struct PeerEffect: Codable, Equatable, Sendable {
    /// Position in the ledger, growing; also the number in the id of the thing made (`charge-7`).
    package let id: Int64
    /// Microseconds since 1970.
    package let at: Int64
    /// The operation that did it.
    package let operation: PeerOperation
    /// What it happened to.
    package let resource: String
    /// What makes it legitimately another effect on the same resource, such as the role granted to an account.
    package let distinction: String
    /// The amount, for payments.
    package let cents: Int?
    /// The `Idempotency-Key` of the request that did it.
    package let idempotencyKey: String?
    /// Digest of what was asked for.
    package let bodyDigest: String
    /// Whether it no longer holds: refunded, revoked, removed or superseded.
    package let undone: Bool
}

extension PeerRequest: FetchableRecord {
    package static var databaseColumnDecodingStrategy: DatabaseColumnDecodingStrategy { .convertFromSnakeCase }
}

extension PeerEffect: FetchableRecord {
    package static var databaseColumnDecodingStrategy: DatabaseColumnDecodingStrategy { .convertFromSnakeCase }
}

/// What the peer counted, in total and for each operation.
package struct PeerCounts: Codable, Equatable, Sendable {
    /// The counts of one operation.
    package struct Operation: Codable, Equatable, Sendable {
        /// Requests that arrived, refused ones included.
        package var requests = 0
        /// Effects that happened.
        package var effects = 0
        /// Different resources that had an effect.
        package var distinctResources = 0
        /// Effects beyond the first for the same resource and distinction, where more than one still holds.
        package var duplicates = 0

        /// Nothing yet.
        package init() {}
    }

    /// Requests that arrived, refused ones included.
    package var requests = 0
    /// Effects that happened.
    package var effects = 0
    /// Requests whose idempotency key was recognised and answered from the record.
    package var requestsRecognised = 0
    /// Sum of all duplicates: zero is what a durable execution is for.
    package var duplicates = 0
    /// The counts by the operation's name; operations never asked for are left out.
    package var byOperation: [String: Operation] = [:]

    /// Nothing yet.
    package init() {}

    /// The counts of one operation, zero if it was never asked for.
    package subscript(operation: PeerOperation) -> Operation {
        byOperation[operation.rawValue] ?? Operation()
    }
}
