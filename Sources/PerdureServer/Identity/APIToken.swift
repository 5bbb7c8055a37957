internal import Foundation
internal import Perdure
internal import PerdureCommands
internal import PerdureHistory

/// A token of ours: for programs, in one namespace or in all of them. What it is worth stands beside it; of its secret only a hash is kept.
struct APIToken: Sendable, Hashable {
    /// `NAMESPACE/NAME`. No name is given twice, so that histories stay true.
    let id: String
    let namespace: String
    let roles: Set<Role>
    /// Who made it, and by what.
    let maker: String
    /// Who uses it, if that was said.
    let person: String?
    let madeAt: Timestamp
    let expiresAt: Timestamp
    var revokedAt: Timestamp?
    var revokedBy: String?
    /// SHA-256 of the secret, which has 256 random bits.
    let hash: String

    init(
        id: String, namespace: String, roles: Set<Role>, maker: String, person: String?, madeAt: Timestamp, expiresAt: Timestamp,
        hash: String
    ) {
        self.id = id
        self.namespace = namespace
        self.roles = roles
        self.maker = maker
        self.person = person
        self.madeAt = madeAt
        self.expiresAt = expiresAt
        self.hash = hash
    }

    /// Within its namespace.
    var name: String { String(id.dropFirst(namespace.utf8.count + 1)) }

    /// Whoever made it, or is said to use it, acts through it: what it starts that one cannot approve.
    var principal: Principal { Principal(.workload, "token:\(id)", authentication: "API token", issuedBy: person ?? maker) }
    var rights: Rights { Rights([namespace: roles]) }

    func isValid(at now: Timestamp) -> Bool { revokedAt == nil && now < expiresAt }

    // MARK: As the store keeps it

    var value: [UInt8] {
        var members = described
        members["hash"] = .string(hash)
        members["namespace"] = .string(namespace)
        members["made_at"] = .integer(madeAt.microseconds)
        members["expires_at"] = .integer(expiresAt.microseconds)
        members["revoked_at"] = revokedAt.map { .integer($0.microseconds) }
        return JSONValue.object(members).canonicalBytes
    }

    /// nil for what no release has written.
    init?(_ value: [UInt8]) {
        guard let json = try? JSONValue.parse(value, what: "a token"), let id = json["name"]?.stringValue,
            let namespace = json["namespace"]?.stringValue, let maker = json["made_by"]?.stringValue,
            let made = json["made_at"]?.integerValue, let end = json["expires_at"]?.integerValue,
            let hash = json["hash"]?.stringValue
        else { return nil }
        self.init(
            id: id, namespace: namespace,
            roles: Set((json["roles"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(Role.init) }),
            maker: maker, person: json["for"]?.stringValue, madeAt: Timestamp(microseconds: made),
            expiresAt: Timestamp(microseconds: end), hash: hash)
        revokedAt = json["revoked_at"]?.integerValue.map(Timestamp.init(microseconds:))
        revokedBy = json["revoked_by"]?.stringValue
    }

    private var described: JSONObject {
        var members: JSONObject = [
            "name": .string(id), "roles": .array(roles.map(\.description).sorted().map(JSONValue.string)),
            "made_by": .string(maker),
        ]
        members["for"] = person.map(JSONValue.string)
        members["revoked_by"] = revokedBy.map(JSONValue.string)
        return members
    }

    // MARK: As it is shown

    var json: JSONValue {
        var members = described
        members["made_at"] = JSONValue(time: madeAt)
        members["expires_at"] = JSONValue(time: expiresAt)
        members["revoked_at"] = revokedAt.map { JSONValue(time: $0) }
        return .object(members)
    }

    static let schema = Schema.named(
        "Token",
        .object([
            .must("name", .text(.free(atMost: 300)), "What it does is recorded as done by `token:NAME`."),
            .must("roles", .list(.text(.free(atMost: 300)), atMost: 100)), .must("made_by", .text(.free(atMost: 4_000))),
            .may("for", .text(.free(atMost: 300)), "Who uses it."),
            .must("made_at", .text(.time)), .must("expires_at", .text(.time)), .may("revoked_at", .text(.time)),
            .may("revoked_by", .text(.free(atMost: 4_000))),
        ]))
}
