import Hummingbird

/// The vault: keys of services, by reference only. No answer ever holds a secret value.
struct VaultRoutes {
    let desk: Desk

    private struct IssueBody: Decodable {
        let service: String
        let label: String?
    }

    private struct ActivateBody: Decodable {
        let key: String
    }

    private struct IssuedKey: Encodable {
        let id: String
        let service: String
    }

    private struct RevokedKey: Encodable {
        let id: String
        let revoked: Bool
    }

    private struct ActiveKey: Encodable {
        let key: String
    }

    private struct KeyUses: Encodable {
        let uses: Int
    }

    func add(to router: Router<PeerContext>) {
        router.post("vault/keys") { request, context in
            try await desk.serve(.issueKey, request, context, issue)
        }
        router.post("vault/keys/:id/revoke") { request, context in
            try await desk.serve(.revokeKey, request, context, revoke)
        }
        router.get("vault/keys/:id/uses") { request, context in
            try await desk.serve(.keyUses, request, context, uses)
        }
        router.post("vault/services/:service/active") { request, context in
            try await desk.serve(.activateKey, request, context, activate)
        }
        router.get("vault/services/:service/active") { request, context in
            try await desk.serve(.activeKey, request, context, active)
        }
    }

    /// A service may have several keys at once only if they differ by label; else the second is a duplicate.
    @Sendable private func issue(_ incoming: Incoming) throws -> Desk.Order {
        let body = try incoming.body(IssueBody.self)
        let service = try Incoming.label(body.service, "service")
        let label = try body.label.map { try Incoming.label($0, "label") } ?? ""
        return Desk.Order(resource: service, distinction: label) { ledger in
            let effect = try ledger.happened()
            return .done(effect: effect, Answer(json: try JSON.encode(IssuedKey(id: "\(Thing(.key, effect))", service: service))))
        }
    }

    /// Safe to repeat, and safe for a key that never was: only a standing key can be revoked with an effect.
    @Sendable private func revoke(_ incoming: Incoming) throws -> Desk.Order {
        let id = try incoming.path("id")
        return Desk.Order(resource: id) { ledger in
            let answer = Answer(json: try JSON.encode(RevokedKey(id: id, revoked: true)))
            guard let thing = Thing(.key, id: id), let key = try ledger.maker(of: thing), !key.undone else {
                return .nothing(answer)
            }
            try ledger.undo(key.id)
            try ledger.undo(.activateKey, distinction: id)
            return .done(effect: try ledger.happened(), answer)
        }
    }

    @Sendable private func uses(_ incoming: Incoming) throws -> Desk.Order {
        let id = try incoming.path("id")
        return Desk.Order(resource: id) { ledger in
            guard let thing = Thing(.key, id: id), try ledger.maker(of: thing) != nil else {
                throw Problem.missing("there is no key \"\(id)\"")
            }
            return .nothing(Answer(json: try JSON.encode(KeyUses(uses: try ledger.uses(of: id)))))
        }
    }

    /// Switching to the key that is active already is an effect as well, and a duplicate one: that the switch happens
    /// once is what a crash test wants to see.
    @Sendable private func activate(_ incoming: Incoming) throws -> Desk.Order {
        let service = try incoming.path("service")
        let key = try Incoming.label(incoming.body(ActivateBody.self).key, "key")
        return Desk.Order(resource: service, distinction: key) { ledger in
            guard let thing = Thing(.key, id: key), let issued = try ledger.maker(of: thing), issued.resource == service else {
                throw Problem.missing("service \"\(service)\" has no key \"\(key)\"")
            }
            guard !issued.undone else { throw Problem(409, "Conflict", "key \"\(key)\" is revoked") }
            try ledger.undo(.activateKey, on: service, except: key)
            return .done(effect: try ledger.happened(), Answer(json: try JSON.encode(ActiveKey(key: key))))
        }
    }

    @Sendable private func active(_ incoming: Incoming) throws -> Desk.Order {
        let service = try incoming.path("service")
        return Desk.Order(resource: service) { ledger in
            guard let switched = try ledger.all(.activateKey, on: service).last(where: { !$0.undone }) else {
                throw Problem.missing("service \"\(service)\" has no active key")
            }
            return .nothing(Answer(json: try JSON.encode(ActiveKey(key: switched.distinction))))
        }
    }
}
