public import Perdure

/// A charge as the payment provider knows it.
public struct Charge: Codable, Hashable, Sendable {
    /// The provider's name for it.
    public let id: String
}

/// A key in the vault: a reference, never the secret itself.
public struct VaultKey: Codable, Hashable, Sendable {
    /// The vault's name for it.
    public let id: String
}

/// An account in the directory.
public struct Account: Codable, Hashable, Sendable {
    /// The directory's name for it.
    public let id: String
}

/// An account as the directory shows it.
public struct DirectoryEntry: Codable, Hashable, Sendable {
    /// The account.
    public let account: Account
    /// Its roles.
    public let roles: [String]
}

// The payment provider.
extension PeerClient {
    /// Charges an order.
    public func charge(_ order: Order, _ step: StepContext) async throws -> Charge {
        struct Body: Encodable { let order: String, cents: Int }
        return try await post("/payments/charges", Body(order: order.number, cents: order.cents), step)
    }

    /// Pays a charge back; by its key safe to repeat.
    public func refund(_ charge: Charge, _ step: StepContext) async throws {
        _ = try await post("/payments/refunds", ["charge": charge.id], step, as: Ignored.self)
    }

    /// The charges of an order that have not been paid back.
    public func charges(of order: Order, _ step: StepContext) async throws -> [Charge] {
        struct Found: Decodable {
            struct Entry: Decodable { let id: String, refunded: Bool }
            let charges: [Entry]
        }
        let found: Found = try await get("/payments/charges?order=\(Self.escaped(order.number))", step)
        return found.charges.filter { !$0.refunded }.map { Charge(id: $0.id) }
    }
}

// The vault.
extension PeerClient {
    /// Issues a key for a service.
    public func issueKey(for service: String, _ step: StepContext) async throws -> VaultKey {
        try await post("/vault/keys", ["service": service], step)
    }

    /// Revokes a key; also when it is gone already.
    public func revoke(_ key: VaultKey, _ step: StepContext) async throws {
        _ = try await post("/vault/keys/\(Self.escaped(key.id))/revoke", [String: String](), step, as: Ignored.self)
    }

    /// Makes a service use a key from now on.
    public func activate(_ key: VaultKey, for service: String, _ step: StepContext) async throws {
        _ = try await post("/vault/services/\(Self.escaped(service))/active", ["key": key.id], step, as: Ignored.self)
    }

    /// The key that a service uses now; `nil` if there is none.
    public func activeKey(of service: String, _ step: StepContext) async throws -> VaultKey? {
        struct Active: Decodable { let key: String }
        do {
            let active: Active = try await get("/vault/services/\(Self.escaped(service))/active", step)
            return VaultKey(id: active.key)
        } catch let failure as PeerFailure where failure.status == 404 {
            return nil
        }
    }
}

// The directory and the mail service.
extension PeerClient {
    /// Opens an account.
    public func createAccount(_ name: String, _ step: StepContext) async throws -> Account {
        try await post("/directory/accounts", ["name": name], step)
    }

    /// Gives an account a role.
    public func grant(_ role: String, to account: Account, _ step: StepContext) async throws {
        _ = try await post("/directory/accounts/\(Self.escaped(account.id))/roles", ["role": role], step, as: Ignored.self)
    }

    /// Removes an account with its roles; also when it is gone already.
    public func remove(_ account: Account, _ step: StepContext) async throws {
        _ = try await delete("/directory/accounts/\(Self.escaped(account.id))", step, as: Ignored.self)
    }

    /// Takes a role from an account; also when it does not have it.
    public func revoke(_ role: String, from account: Account, _ step: StepContext) async throws {
        let path = "/directory/accounts/\(Self.escaped(account.id))/roles/\(Self.escaped(role))"
        _ = try await delete(path, step, as: Ignored.self)
    }

    /// The accounts of this name, with their roles.
    public func accounts(named name: String, _ step: StepContext) async throws -> [DirectoryEntry] {
        struct Found: Decodable {
            struct Entry: Decodable { let id: String, roles: [String] }
            let accounts: [Entry]
        }
        let found: Found = try await get("/directory/accounts?name=\(Self.escaped(name))", step)
        return found.accounts.map { DirectoryEntry(account: Account(id: $0.id), roles: $0.roles) }
    }

    /// Sends a mail.
    public func mail(_ template: String, to address: String, _ text: String, _ step: StepContext) async throws {
        struct Body: Encodable { let to: String, template: String, text: String }
        _ = try await post("/mail/messages", Body(to: address, template: template, text: text), step, as: Ignored.self)
    }
}
