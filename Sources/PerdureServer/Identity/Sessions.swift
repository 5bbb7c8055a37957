internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import Perdure
internal import PerdureEngine
internal import PerdureHistory
internal import PerdureStore

/// Somebody who has signed in at the page.
struct Session: Sendable {
    let principal: Principal
    /// As the issuer has said at the sign-in: what they may is looked up anew each time.
    let groups: [String]
    /// Of the token that was used, if it was one: what becomes of it becomes of the session.
    let token: String?
    /// Whose word it was, if it was an issuer's.
    let issuer: String?
    let expiresAt: Timestamp
    /// What forms are marked with.
    var formKey: [UInt8] = []
}

/// Who is signed in, in the store that all processes share. The browser has the secret, the store a hash of it.
struct Sessions: Sendable {
    static let kind = "sessions"
    /// After which time everybody signs in again.
    static let lifetime = Duration.seconds(12 * 3_600)

    let client: Client
    let now: @Sendable () -> Timestamp

    /// - Returns: What the browser keeps.
    func begin(
        _ principal: Principal, groups: [String] = [], issuer: IssuerRule? = nil, token: APIToken? = nil
    ) async throws -> String {
        let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        let end = min(now() + Self.lifetime, token?.expiresAt ?? Timestamp(microseconds: .max))
        var members: JSONObject = [
            "kind": .string(principal.kind.rawValue), "id": .string(principal.id),
            "authentication": .string(principal.authentication), "groups": .array(groups.map(JSONValue.string)),
            "expires_at": .integer(end.microseconds),
        ]
        members["issuer"] = issuer.map { .string($0.mark) }
        members["token"] = token.map { .string($0.hash) }
        let change = ControlChange.put(Self.key(secret), on: nil, value: JSONValue.object(members).canonicalBytes, due: end)
        guard try await client.guarded({ try await client.store.changeControl(change) }) else {
            throw Problem(.conflict, "session_exists", "Sign in again.")
        }
        return Base64URL.encode(secret)
    }

    func find(_ cookie: String) async throws -> Session? {
        guard let secret = Base64URL.decode(cookie), secret.count == 32,
            let row = try await client.guarded({ try await client.store.control(Self.key(secret)) }),
            let json = try? JSONValue.parse(row.value, what: "a session"),
            let kind = json["kind"]?.stringValue.flatMap(Principal.Kind.init), let id = json["id"]?.stringValue,
            let authentication = json["authentication"]?.stringValue, let end = json["expires_at"]?.integerValue,
            now() < Timestamp(microseconds: end)
        else { return nil }
        var session = Session(
            principal: Principal(kind, id, authentication: authentication),
            groups: (json["groups"]?.arrayValue ?? []).compactMap(\.stringValue), token: json["token"]?.stringValue,
            issuer: json["issuer"]?.stringValue, expiresAt: Timestamp(microseconds: end))
        let mark = HMAC<SHA256>.authenticationCode(for: Data("forms".utf8), using: SymmetricKey(data: secret))
        session.formKey = Array(mark)
        return session
    }

    func end(_ cookie: String) async throws {
        guard let secret = Base64URL.decode(cookie) else { return }
        let key = Self.key(secret)
        guard let row = try await client.guarded({ try await client.store.control(key) }) else { return }
        _ = try await client.guarded { try await client.store.changeControl(.remove(key, on: row.revision)) }
    }

    /// Ends every session of somebody.
    ///
    /// - Returns: How many there were.
    func end(of id: String) async throws -> Int {
        var after: String?, count = 0
        repeat {
            let rows = try await client.guarded { [after] in
                try await client.store.controls(.all(kind: Self.kind, after: after, limit: 500))
            }
            for row in rows where (try? JSONValue.parse(row.value, what: "a session"))?["id"]?.stringValue == id {
                _ = try await client.guarded { try await client.store.changeControl(.remove(row.key, on: row.revision)) }
                count += 1
            }
            after = rows.count == 500 ? rows.last?.key.key : nil
        } while after != nil
        return count
    }

    private static func key(_ secret: [UInt8]) -> ControlKey { ControlKey(kind, Hex.encode(SaltedDigest.plain(secret))) }
}
