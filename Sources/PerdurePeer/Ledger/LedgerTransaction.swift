import GRDB

/// What the work of a request may do to the ledger, inside its transaction.
struct LedgerTransaction {
    let db: Database
    let errand: Errand
    let at: Int64

    /// Writes down that the errand happened.
    ///
    /// - Returns: The effect's id.
    func happened(cents: Int? = nil) throws -> Int64 {
        try db.execute(
            sql: """
                INSERT INTO effects (at, operation, resource, distinction, cents, idempotency_key, body_digest)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                at, errand.operation.rawValue, errand.resource, errand.distinction, cents, errand.key, errand.digest.description,
            ])
        return db.lastInsertedRowID
    }

    /// The effects of an operation on a resource, undone or not, oldest first.
    func all(_ operation: PeerOperation, on resource: String) throws -> [PeerEffect] {
        try PeerEffect.fetchAll(
            db, sql: "SELECT * FROM effects WHERE operation = ? AND resource = ? ORDER BY id",
            arguments: [operation.rawValue, resource])
    }

    /// The effect that made a thing, undone or not; `nil` if there is no such thing.
    func maker(of thing: Thing) throws -> PeerEffect? {
        try PeerEffect.fetchOne(
            db, sql: "SELECT * FROM effects WHERE id = ? AND operation = ?",
            arguments: [thing.number, thing.kind.maker.rawValue])
    }

    /// Marks an effect as one that no longer holds.
    func undo(_ effect: Int64) throws {
        try db.execute(sql: "UPDATE effects SET undone = 1 WHERE id = ?", arguments: [effect])
    }

    /// Marks all effects of an operation on a resource, but for one distinction, as no longer holding.
    func undo(_ operation: PeerOperation, on resource: String, except distinction: String? = nil) throws {
        try db.execute(
            sql: "UPDATE effects SET undone = 1 WHERE operation = ? AND resource = ? AND distinction IS NOT ?",
            arguments: [operation.rawValue, resource, distinction])
    }

    /// Marks the effects of an operation with a distinction, on whatever resource, as no longer holding.
    func undo(_ operation: PeerOperation, distinction: String) throws {
        try db.execute(
            sql: "UPDATE effects SET undone = 1 WHERE operation = ? AND distinction = ?",
            arguments: [operation.rawValue, distinction])
    }

    /// How often a vault key was used, as the control API was told.
    func uses(of key: String) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT uses FROM uses WHERE vault_key = ?", arguments: [key]) ?? 0
    }
}

/// A thing the peer made: its kind, and the number of the effect that made it. Written `charge-7`.
struct Thing: Equatable, Sendable, CustomStringConvertible {
    enum Kind: String, Sendable {
        case charge, refund, key, account, message

        var maker: PeerOperation {
            switch self {
            case .charge: .charge
            case .refund: .refund
            case .key: .issueKey
            case .account: .createAccount
            case .message: .sendMessage
            }
        }
    }

    let kind: Kind
    let number: Int64

    init(_ kind: Kind, _ number: Int64) {
        self.kind = kind
        self.number = number
    }

    /// Reads the id of a thing of this kind; `nil` if it is not one.
    init?(_ kind: Kind, id: String) {
        let prefix = kind.rawValue + "-"
        guard id.hasPrefix(prefix), let number = Int64(id.dropFirst(prefix.count)) else { return nil }
        self.init(kind, number)
        // `charge-07` is not an id: one thing has one name.
        guard description == id else { return nil }
    }

    var description: String { "\(kind.rawValue)-\(number)" }
}
