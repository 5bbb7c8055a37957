/// What the peer can be asked to do. The raw value is the name in the ledger and in the control API:
/// the role, a dot, the verb.
package enum PeerOperation: String, Codable, CaseIterable, Hashable, Sendable {
    case charge = "payments.charge"
    case refund = "payments.refund"
    case findCharges = "payments.find"
    case issueKey = "vault.issue"
    case revokeKey = "vault.revoke"
    case activateKey = "vault.activate"
    case activeKey = "vault.active"
    case keyUses = "vault.uses"
    case createAccount = "directory.create"
    case grantRole = "directory.grant"
    case revokeRole = "directory.revoke"
    case removeAccount = "directory.remove"
    case findAccounts = "directory.find"
    case sendMessage = "mail.send"

    /// The role that offers the operation: `payments`, `vault`, `directory` or `mail`.
    package var group: String {
        String(rawValue.prefix { $0 != "." })
    }

    /// Whether the operation only looks. It never has an effect, and needs no idempotency key.
    package var isRead: Bool {
        switch self {
        case .findCharges, .activeKey, .keyUses, .findAccounts: true
        case .charge, .refund, .issueKey, .revokeKey, .activateKey: false
        case .createAccount, .grantRole, .revokeRole, .removeAccount, .sendMessage: false
        }
    }

    /// The names of all groups, in the order of declaration.
    package static var groups: [String] {
        allCases.map(\.group).reduce(into: []) { groups, group in
            if !groups.contains(group) { groups.append(group) }
        }
    }
}

/// One operation, or all operations of a group: what the control API is told to act on.
package enum OperationSelector: Hashable, Sendable {
    case operation(PeerOperation)
    case group(String)

    /// Reads a name such as `payments.charge` or `payments`.
    ///
    /// - Returns: `nil` if the peer knows no such operation and no such group.
    package init?(_ name: String) {
        if let operation = PeerOperation(rawValue: name) {
            self = .operation(operation)
        } else if PeerOperation.groups.contains(name) {
            self = .group(name)
        } else {
            return nil
        }
    }

    /// The name as the control API spells it.
    package var name: String {
        switch self {
        case .operation(let operation): operation.rawValue
        case .group(let name): name
        }
    }

    /// The operations meant.
    package var operations: [PeerOperation] {
        switch self {
        case .operation(let operation): [operation]
        case .group(let name): PeerOperation.allCases.filter { $0.group == name }
        }
    }
}
