internal import Foundation
internal import Perdure
internal import PerdureHistory

/// An issuer of OpenID Connect that is believed, and what of its tokens is taken for what.
struct IssuerRule: Sendable, Hashable {
    /// How people sign in at the page with it, if they do.
    struct SignIn: Sendable, Hashable {
        let clientID: String
        /// Nil for a public client, which has none.
        let secretFile: String?
        let scopes: String
    }

    /// Stands before the ids and groups that it vouches for.
    let name: String
    /// As it writes itself, and as its tokens do.
    let address: String
    /// Whom its tokens have to be made for.
    let audience: String
    let idClaim: String
    let groupsClaim: String
    let kind: Principal.Kind
    let signIn: SignIn?

    init?(_ json: JSONValue) {
        guard let name = json["name"]?.stringValue, let address = json["issuer"]?.stringValue,
            let audience = json["audience"]?.stringValue
        else { return nil }
        self.name = name
        self.address = address
        self.audience = audience
        idClaim = json["id_claim"]?.stringValue ?? "sub"
        groupsClaim = json["groups_claim"]?.stringValue ?? "groups"
        kind = json["kind"]?.stringValue.flatMap(Principal.Kind.init) ?? .human
        signIn = json["sign_in"].flatMap { json in
            json["client_id"]?.stringValue.map {
                SignIn(
                    clientID: $0, secretFile: json["client_secret_file"]?.stringValue,
                    scopes: json["scopes"]?.stringValue ?? "openid")
            }
        }
    }

    /// Tells it from another one that took its name.
    var mark: String { "\(name) \(address)" }

    static let schema = Schema.object([
        .must("name", .text(.identifier)), .must("issuer", .text(.free(atMost: 2_000))),
        .must("audience", .text(.free(atMost: 2_000))), .may("id_claim", .text(.key)), .may("groups_claim", .text(.key)),
        .may("kind", .text(.oneOf(["human", "agent", "workload"]))),
        .may(
            "sign_in",
            .object([
                .must("client_id", .text(.free(atMost: 2_000))), .may("client_secret_file", .text(.free(atMost: 4_000))),
                .may("scopes", .text(.free(atMost: 2_000))),
            ])),
    ])

    /// Names that begin other kinds of ids.
    private static let taken = ["group", "token", "spiffe", "mail", "dns"]

    static func contradictions(in json: JSONValue, _ place: String) -> [Flaw] {
        var flaws: [Flaw] = []
        if let name = json["name"]?.stringValue, taken.contains(name) {
            flaws.append(Flaw(place: "\(place)/name", wish: "cannot be '\(name)', which begins other ids"))
        }
        if !isAddress(json["issuer"]?.stringValue ?? "") {
            flaws.append(
                Flaw(place: "\(place)/issuer", wish: "has to be an https URL without a query (http only to this machine itself)"))
        }
        if json["audience"]?.stringValue?.isEmpty == true { flaws.append(Flaw(place: "\(place)/audience", wish: "is empty")) }
        let scopes = json["sign_in"]?["scopes"]?.stringValue ?? "openid"
        if !scopes.split(separator: " ").contains("openid") {
            flaws.append(Flaw(place: "\(place)/sign_in/scopes", wish: "has to have 'openid' among them"))
        }
        return flaws
    }

    /// What is fetched decides whom the server believes.
    static func isAddress(_ text: String) -> Bool {
        guard let url = URLComponents(string: text), let host = url.host, !host.isEmpty, url.query == nil, url.fragment == nil,
            url.user == nil
        else { return false }
        return url.scheme == "https" || url.scheme == "http" && LoopbackGate.isLoopback(host)
    }
}
