internal import Crypto
internal import Foundation
internal import Perdure
package import PerdureEngine
package import PerdureHistory
internal import PerdureStore

/// The tokens of an installation, in the store that all processes share: one that is revoked is worth nothing from the next request on.
package struct APITokens: Sendable {
    static let kind = "tokens", nameKind = "token-names"
    /// What a token begins with, so that whoever scans for secrets finds it.
    static let prefix = "perdure_"
    /// How long one may be good, in seconds.
    package static let lifetimes: ClosedRange<Int64> = 60...(366 * 86_400)

    let client: Client
    let now: @Sendable () -> Timestamp

    package init(client: Client, now: @escaping @Sendable () -> Timestamp) {
        self.client = client
        self.now = now
    }

    /// Makes a token.
    ///
    /// A crash on the way leaves a row that no name leads to, and no token.
    ///
    /// - Parameters:
    ///   - namespace: `*` for all of them.
    ///   - lifetime: In seconds.
    /// - Returns: The token as it is sent. It is not kept, and cannot be had again.
    /// - Throws: `PerdureError` with `token_conflict` if the name was given before, `usage` if something of it cannot be.
    func make(name: String, namespace: String, roles: Set<Role>, lifetime: Int64, by maker: String, for person: String? = nil)
        async throws -> (
            token: APIToken, text: String
        )
    {
        guard TextRule.identifier.fits(name), namespace == Rights.everywhere || TextRule.identifier.fits(namespace),
            !roles.isEmpty, Self.lifetimes.contains(lifetime)
        else {
            throw PerdureError(
                .usage,
                "A token takes a name and a namespace (1 to 128 letters, digits, '-', '_' and '.'), a role at least, and a time from a minute "
                    + "to 366 days.")
        }
        let text = Self.prefix + Base64URL.encode(SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) })
        let id = "\(namespace)/\(name)", made = now()
        let token = APIToken(
            id: id, namespace: namespace, roles: roles, maker: maker, person: person, madeAt: made,
            expiresAt: made + .seconds(lifetime),
            hash: Self.hash(text))
        // The name makes it good: before it, nobody has the token, and of two under one name one gets it.
        let key = ControlKey(Self.kind, token.hash)
        guard try await change(.put(key, on: nil, value: token.value)) else { throw Self.conflict(id) }
        guard try await change(.put(ControlKey(Self.nameKind, id), on: nil, value: Array(token.hash.utf8))) else {
            _ = try await change(.remove(key, on: 1))
            throw Self.conflict(id)
        }
        return (token, text)
    }

    // MARK: For the command line

    /// Makes a token, as an operator who has the store in his hands may.
    ///
    /// - Parameters:
    ///   - roles: By their names.
    ///   - person: Who will use it, if that is somebody else: what it starts that one cannot approve.
    /// - Returns: The token as it is sent, which is not kept.
    /// - Throws: `PerdureError` with `token_conflict`, or `usage` if something of it cannot be.
    package func make(
        name: String, namespace: String, roles: [String], lifetime: Duration, maker: String, person: String? = nil
    ) async throws -> String {
        if let wrong = roles.first(where: { Role($0) == nil }) {
            throw PerdureError(
                .usage, "'\(wrong)' is no role: there are viewer, starter, operator, approver, approver:NAME, auditor and admin.")
        }
        return try await make(
            name: name, namespace: namespace, roles: Set(roles.compactMap(Role.init)), lifetime: lifetime.components.seconds,
            by: maker, for: person
        ).text
    }

    /// All tokens of a namespace, as the API shows them.
    package func list(in namespace: String) async throws -> [JSONValue] {
        var found: [APIToken] = [], after: String?
        repeat {
            let page = try await all(in: namespace, after: after, limit: 500)
            found += page.tokens
            after = page.next
        } while after != nil
        return found.map(\.json)
    }

    /// Makes a token worthless, as an operator who has the store in his hands may.
    ///
    /// - Throws: `PerdureError` with `token_unknown`.
    package func revoke(name: String, namespace: String, revoker: String) async throws {
        _ = try await revoke(name: name, namespace: namespace, by: revoker)
    }

    private static func conflict(_ id: String) -> PerdureError {
        PerdureError(.tokenConflict, "There was a token named '\(id)' before. No name is given twice: choose another one.")
    }

    /// The token that this is, if it is one of ours and good.
    func valid(_ text: String) async throws -> APIToken? {
        guard text.hasPrefix(Self.prefix), text.utf8.count <= 100 else { return nil }
        return try await valid(hash: Self.hash(text))
    }

    func valid(hash: String) async throws -> APIToken? {
        guard let token = try await row(ControlKey(Self.kind, hash)).flatMap({ APIToken($0.value) }), token.hash == hash,
            token.isValid(at: now()), let name = try await row(ControlKey(Self.nameKind, token.id)),
            name.value == Array(hash.utf8)
        else { return nil }
        return token
    }

    /// All that were ever made for a namespace, by name; `*` lists those for all namespaces.
    ///
    /// - Returns: A page of them, and behind which name the next one begins.
    func all(in namespace: String, after: String?, limit: Int) async throws -> (tokens: [APIToken], next: String?) {
        let begin = "\(namespace)/"
        let rows = try await client.guarded {
            try await client.store.controls(
                .all(kind: Self.nameKind, after: begin + (after ?? ""), limit: limit))
        }
        var tokens: [APIToken] = []
        for name in rows where name.key.key.hasPrefix(begin) {
            let hash = String(decoding: name.value, as: UTF8.self)
            if let token = try await row(ControlKey(Self.kind, hash)).flatMap({ APIToken($0.value) }) { tokens.append(token) }
        }
        let last = rows.last.flatMap { $0.key.key.hasPrefix(begin) ? String($0.key.key.dropFirst(begin.count)) : nil }
        return (tokens, rows.count == limit ? last : nil)
    }

    /// Makes a token worthless. One that is already stays as it is.
    ///
    /// - Throws: `PerdureError` with `token_unknown`.
    func revoke(name: String, namespace: String, by revoker: String) async throws -> APIToken {
        let unknown = PerdureError(.tokenUnknown, "There is no token named '\(namespace)/\(name)'.")
        guard let place = try await row(ControlKey(Self.nameKind, "\(namespace)/\(name)")) else { throw unknown }
        let key = ControlKey(Self.kind, String(decoding: place.value, as: UTF8.self))
        for _ in 0..<10 {
            guard let found = try await row(key), var token = APIToken(found.value) else { throw unknown }
            if token.revokedAt != nil { return token }
            token.revokedAt = now()
            token.revokedBy = revoker
            if try await change(.put(key, on: found.revision, value: token.value)) { return token }
        }
        throw PerdureError(.storeUnavailable, "Others change this token at the same time. Try again.")
    }

    private static func hash(_ text: String) -> String { Hex.encode(SaltedDigest.plain(Array(text.utf8))) }

    private func row(_ key: ControlKey) async throws -> ControlRow? {
        try await client.guarded { try await client.store.control(key) }
    }

    private func change(_ change: ControlChange) async throws -> Bool {
        try await client.guarded { try await client.store.changeControl(change) }
    }
}
