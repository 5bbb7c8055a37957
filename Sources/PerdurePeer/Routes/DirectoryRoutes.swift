import Hummingbird

/// The directory: accounts and their roles.
struct DirectoryRoutes {
    let desk: Desk

    private struct CreateBody: Decodable {
        let name: String
    }

    private struct GrantBody: Decodable {
        let role: String
    }

    private struct Made: Encodable {
        let id: String
    }

    private struct Granted: Encodable {
        let account: String
        let role: String
    }

    private struct Removed: Encodable {
        let id: String
        let removed: Bool
    }

    private struct Account: Encodable {
        let id: String
        let name: String
        let roles: [String]
    }

    private struct Accounts: Encodable {
        let accounts: [Account]
    }

    func add(to router: Router<PeerContext>) {
        router.post("directory/accounts") { request, context in
            try await desk.serve(.createAccount, request, context, create)
        }
        router.post("directory/accounts/:id/roles") { request, context in
            try await desk.serve(.grantRole, request, context, grant)
        }
        router.delete("directory/accounts/:id/roles/:role") { request, context in
            try await desk.serve(.revokeRole, request, context, revoke)
        }
        router.delete("directory/accounts/:id") { request, context in
            try await desk.serve(.removeAccount, request, context, remove)
        }
        router.get("directory/accounts") { request, context in
            try await desk.serve(.findAccounts, request, context, find)
        }
    }

    @Sendable private func create(_ incoming: Incoming) throws -> Desk.Order {
        let name = try Incoming.label(incoming.body(CreateBody.self).name, "name")
        return Desk.Order(resource: name) { ledger in
            let effect = try ledger.happened()
            return .done(effect: effect, Answer(json: try JSON.encode(Made(id: "\(Thing(.account, effect))"))))
        }
    }

    @Sendable private func grant(_ incoming: Incoming) throws -> Desk.Order {
        let id = try incoming.path("id")
        let role = try Incoming.label(incoming.body(GrantBody.self).role, "role")
        return Desk.Order(resource: id, distinction: role) { ledger in
            guard let thing = Thing(.account, id: id), let account = try ledger.maker(of: thing), !account.undone else {
                throw Problem.missing("there is no account \"\(id)\"")
            }
            return .done(effect: try ledger.happened(), Answer(json: try JSON.encode(Granted(account: id, role: role))))
        }
    }

    /// Safe to repeat, and safe for a role that the account does not have.
    @Sendable private func revoke(_ incoming: Incoming) throws -> Desk.Order {
        let id = try incoming.path("id"), role = try incoming.path("role")
        return Desk.Order(resource: id, distinction: role) { ledger in
            let answer = Answer(json: try JSON.encode(Granted(account: id, role: role)))
            guard let grant = try ledger.all(.grantRole, on: id).last(where: { !$0.undone && $0.distinction == role }) else {
                return .nothing(answer)
            }
            try ledger.undo(grant.id)
            return .done(effect: try ledger.happened(), answer)
        }
    }

    /// Safe to repeat, and safe for an account that never was.
    @Sendable private func remove(_ incoming: Incoming) throws -> Desk.Order {
        let id = try incoming.path("id")
        return Desk.Order(resource: id) { ledger in
            let answer = Answer(json: try JSON.encode(Removed(id: id, removed: true)))
            guard let thing = Thing(.account, id: id), let account = try ledger.maker(of: thing), !account.undone else {
                return .nothing(answer)
            }
            try ledger.undo(account.id)
            try ledger.undo(.grantRole, on: id)
            return .done(effect: try ledger.happened(), answer)
        }
    }

    @Sendable private func find(_ incoming: Incoming) throws -> Desk.Order {
        let name = try incoming.query("name")
        return Desk.Order(resource: name) { ledger in
            let accounts = try ledger.all(.createAccount, on: name).filter { !$0.undone }.map { account in
                let id = "\(Thing(.account, account.id))"
                let roles = try ledger.all(.grantRole, on: id).filter { !$0.undone }.map(\.distinction)
                return Account(id: id, name: name, roles: roles)
            }
            return .nothing(Answer(json: try JSON.encode(Accounts(accounts: accounts))))
        }
    }
}
