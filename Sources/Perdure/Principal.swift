/// Who did something, and how that is known.
public struct Principal: Sendable, Hashable, Codable, CustomStringConvertible {
    /// What sort of principal acts.
    public enum Kind: String, Sendable, Codable { case human, agent, workload, policy, timer, system }
    /// What sort of principal this is.
    public let kind: Kind
    /// A name that is stable for this principal: an operating system user, a subject of an issuer, a SPIFFE id.
    public let id: String
    /// How it was authenticated, or `unauthenticated`.
    public let authentication: String

    /// Names a principal. `authentication` says how it is known, `unauthenticated` by default.
    public init(_ kind: Kind, _ id: String, authentication: String = "unauthenticated") {
        self.kind = kind
        self.id = id
        self.authentication = authentication
    }

    private static let namedBy = "unauthenticated, os user "

    /// A name that a user of the operating system goes by, without proof. Both are recorded.
    package init(_ kind: Kind, _ id: String, namedBy user: String) {
        self.init(kind, id, authentication: Self.namedBy + user)
    }

    /// Stands between the names of those who made one another what they are.
    package static let issued = ", issued by "
    private static let known = ", as "

    /// Something that acts by what somebody has made for it, who may act by what another has made in turn. All are recorded.
    ///
    /// - Parameter maker: The `lineage` of whoever made it.
    package init(_ kind: Kind, _ id: String, authentication: String, issuedBy maker: String) {
        self.init(kind, id, authentication: authentication + Self.issued + maker)
    }

    /// Somebody who goes by another id elsewhere. Both are recorded.
    package init(_ kind: Kind, _ id: String, authentication: String, knownAs other: String) {
        self.init(kind, id, authentication: other == id ? authentication : authentication + Self.known + other)
    }

    /// The id, and the others that stand behind it, as what it makes has them.
    package var lineage: String { names.joined(separator: Self.issued) }

    /// The names that may be this principal's: its own, that of the user of the operating system behind it, those it goes by elsewhere, and
    /// those of whoever made it what it is.
    private var names: [String] {
        if authentication.hasPrefix(Self.namedBy) { return [id, String(authentication.dropFirst(Self.namedBy.count))] }
        return [id]
            + authentication.split(separator: Self.issued).flatMap { $0.split(separator: Self.known) }.dropFirst().map(
                String.init)
    }

    /// Whether the two share a name, so that they may be one person. Kinds are not looked at: nobody has proven theirs.
    package func mayBe(_ other: Principal) -> Bool { names.contains { other.names.contains($0) } }

    public var description: String { "\(kind.rawValue) \(id)\(authentication == "unauthenticated" ? " (unauthenticated)" : "")" }
}
