internal import Foundation
internal import Perdure
internal import PerdureHistory

/// Whom the server believes, and who may what: the file that `api.access` names.
struct AccessRules: Sendable {
    struct Grant: Sendable {
        /// Ids of principals, ids up to a `*` at their end, and groups as `group:ISSUER:NAME`.
        let to: [String]
        let namespaces: [String]
        let roles: Set<Role>
    }

    let issuers: [IssuerRule]
    /// Other ids of the same people, so that nobody is two.
    let aliases: [String: String]
    let grants: [Grant]

    /// Without a file: only tokens are known, and they carry what they may.
    static let none = AccessRules(issuers: [], aliases: [:], grants: [])

    private init(issuers: [IssuerRule], aliases: [String: String], grants: [Grant]) {
        self.issuers = issuers
        self.aliases = aliases
        self.grants = grants
    }

    /// The one id of whoever goes by this one.
    func id(_ id: String) -> String { aliases[id] ?? id }

    /// - Parameter groups: With their issuer: `corp:platform`.
    func rights(of id: String, groups: [String]) -> Rights {
        let groups = groups.map { Self.group + $0 }
        var rights = Rights([:])
        for grant in grants where grant.to.contains(where: { Self.fits($0, id, groups) }) {
            for namespace in grant.namespaces { rights.add(grant.roles, in: namespace) }
        }
        return rights
    }

    private static let group = "group:"

    private static func fits(_ pattern: String, _ id: String, _ groups: [String]) -> Bool {
        if pattern.hasPrefix(group) { return groups.contains(pattern) }
        return pattern.hasSuffix("*") ? id.hasPrefix(pattern.dropLast()) : id == pattern
    }

    // MARK: The file

    /// - Throws: `PerdureError` with `configuration_invalid`, which says where what is wrong.
    init(_ bytes: [UInt8], path: String) throws {
        let json: JSONValue
        do {
            json = try JSONValue.parse(bytes, what: "the file")
        } catch {
            throw PerdureError(.configurationInvalid, "\(path) is not JSON: \(error.fault).")
        }
        var flaws = Self.schema.flaws(in: json)
        if flaws.isEmpty { flaws = Self.contradictions(in: json) }
        guard flaws.isEmpty else {
            let sentences = flaws.map { "'\($0.place.isEmpty ? "/" : $0.place)' \($0.wish)" }.joined(separator: "; ")
            throw PerdureError(.configurationInvalid, "\(path) is not as it has to be: \(sentences).")
        }
        let issuers = (json["issuers"]?.arrayValue ?? []).compactMap(IssuerRule.init)
        let aliases = json["aliases"]?.objectValue?.members ?? []
        let grants = (json["grants"]?.arrayValue ?? []).map { grant in
            Grant(
                to: Self.texts(grant["to"]), namespaces: Self.texts(grant["in"]),
                roles: Set(Self.texts(grant["roles"]).compactMap(Role.init)))
        }
        self.init(
            issuers: issuers, aliases: Dictionary(aliases.map { ($0.key, $0.value.stringValue ?? "") }) { $1 }, grants: grants)
    }

    private static func texts(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }

    private static let schema = Schema.object([
        .may("issuers", .list(IssuerRule.schema, atMost: 20)),
        .may("aliases", .map(.key, .text(.key), atMost: 10_000)),
        .may(
            "grants",
            .list(
                .object([
                    .must("to", .list(.text(.key), atMost: 1_000)), .must("in", .list(.text(.free(atMost: 128)), atMost: 1_000)),
                    .must("roles", .list(.text(.free(atMost: 300)), atMost: 100)),
                ]), atMost: 10_000)),
    ])

    /// What each value by itself does not show.
    private static func contradictions(in json: JSONValue) -> [Flaw] {
        var flaws: [Flaw] = [], names: Set<String> = [], addresses: Set<String> = []
        let clients = (json["issuers"]?.arrayValue ?? []).compactMap { $0["sign_in"]?["client_id"]?.stringValue }
        for (index, issuer) in (json["issuers"]?.arrayValue ?? []).enumerated() {
            let place = "/issuers/\(index)"
            flaws += IssuerRule.contradictions(in: issuer, place)
            if !names.insert(issuer["name"]?.stringValue ?? "").inserted {
                flaws.append(Flaw(place: "\(place)/name", wish: "is another issuer's name already"))
            }
            if clients.contains(issuer["audience"]?.stringValue ?? "") {
                let wish = "has to differ from 'client_id': otherwise a token that says who signed in would do for programs too"
                flaws.append(Flaw(place: "\(place)/audience", wish: wish))
            }
            if !addresses.insert(issuer["issuer"]?.stringValue ?? "").inserted {
                flaws.append(Flaw(place: "\(place)/issuer", wish: "is there twice"))
            }
        }
        let aliases = json["aliases"]?.objectValue
        for member in aliases?.members ?? [] where aliases?[member.value.stringValue ?? ""] != nil {
            flaws.append(Flaw(place: "/aliases/\(member.key)", wish: "leads to another alias: name the last one"))
        }
        for (index, grant) in (json["grants"]?.arrayValue ?? []).enumerated() {
            for namespace in texts(grant["in"]) where namespace != Rights.everywhere && !TextRule.identifier.fits(namespace) {
                flaws.append(Flaw(place: "/grants/\(index)/in", wish: "has '\(namespace)', which is no namespace and not '*'"))
            }
            for role in texts(grant["roles"]) where Role(role) == nil {
                let wish = "has '\(role)': roles are viewer, starter, operator, approver, approver:NAME, auditor and admin"
                flaws.append(Flaw(place: "/grants/\(index)/roles", wish: wish))
            }
            for name in texts(grant["to"]) {
                if let other = aliases?[name]?.stringValue {
                    flaws.append(Flaw(place: "/grants/\(index)/to", wish: "has '\(name)', which goes by '\(other)': name that"))
                }
                if let group = name.wholeMatch(of: /group:([^:]*):.+/)?.1, !names.contains(String(group)) {
                    flaws.append(Flaw(place: "/grants/\(index)/to", wish: "has '\(name)', but no issuer is named '\(group)'"))
                }
            }
        }
        return flaws
    }
}
