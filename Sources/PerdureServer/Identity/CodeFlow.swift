internal import AsyncHTTPClient
internal import Crypto
internal import Foundation
internal import HTTPTypes
internal import NIOHTTP1
internal import Perdure
internal import PerdureHistory

/// One sign-in that is under way at an issuer: the authorization code flow of OpenID Connect Core 1.0 with PKCE (RFC 7636). It is kept in
/// the browser that began it, and ends there only.
struct CodeFlow: Sendable {
    static let cookie = "__Host-perdure-sign-in"
    static let lifetime = Duration.seconds(600)

    let issuer: String
    let state: String
    let nonce: String
    let verifier: String
    /// Where it goes on afterwards.
    let target: String
    let expiresAt: Timestamp

    init(issuer: String, target: String, now: Timestamp) {
        func random() -> String { Base64URL.encode(SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }) }
        self.issuer = issuer
        self.target = target
        state = random()
        nonce = random()
        verifier = random()
        expiresAt = now + Self.lifetime
    }

    // MARK: As the browser keeps it

    var value: String {
        let members: JSONObject = [
            "issuer": .string(issuer), "state": .string(state), "nonce": .string(nonce), "verifier": .string(verifier),
            "target": .string(target), "expires_at": .integer(expiresAt.microseconds),
        ]
        return Base64URL.encode(JSONValue.object(members).canonicalBytes)
    }

    init?(_ value: String) {
        guard let bytes = Base64URL.decode(value), let json = try? JSONValue.parse(bytes, what: "a cookie"),
            let issuer = json["issuer"]?.stringValue, let state = json["state"]?.stringValue,
            let nonce = json["nonce"]?.stringValue, let verifier = json["verifier"]?.stringValue,
            let target = json["target"]?.stringValue, let end = json["expires_at"]?.integerValue
        else { return nil }
        self.issuer = issuer
        self.state = state
        self.nonce = nonce
        self.verifier = verifier
        self.target = target
        expiresAt = Timestamp(microseconds: end)
    }

    // MARK: Its two steps

    /// Where the browser is sent.
    func address(at endpoint: String, _ rule: IssuerRule, _ signIn: IssuerRule.SignIn, back: String) throws -> String {
        guard IssuerRule.isAddress(endpoint.prefix { $0 != "?" }.description) else { throw CodeFlow.failure(rule) }
        let challenge = Base64URL.encode(Array(SHA256.hash(data: Data(verifier.utf8))))
        let fields = [
            ("response_type", "code"), ("client_id", signIn.clientID), ("redirect_uri", back), ("scope", signIn.scopes),
            ("state", state), ("nonce", nonce), ("code_challenge", challenge), ("code_challenge_method", "S256"),
        ]
        let link = PageCall.link(endpoint.prefix { $0 != "?" }.description, fields)
        guard let query = endpoint.firstIndex(of: "?") else { return link }
        return link + "&" + endpoint[endpoint.index(after: query)...]
    }

    /// Exchanges the code for the token that says who has signed in.
    ///
    /// - Throws: `Problem` if the issuer does not give one, or one that is not for us.
    func token(
        for code: String, from issuer: Issuer, _ signIn: IssuerRule.SignIn, back: String, http: HTTPClient, now: Timestamp
    ) async throws -> SignedToken {
        let failure = Self.failure(issuer.rule)
        guard let endpoint = try await issuer.endpoints().token, IssuerRule.isAddress(endpoint) else { throw failure }
        var fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", back), ("code_verifier", verifier)]
        var request = HTTPClientRequest(url: endpoint)
        request.method = .POST
        if let file = signIn.secretFile {
            guard let secret = try? String(contentsOfFile: file, encoding: .utf8) else { throw failure }
            let pair = [signIn.clientID, secret.trimmingCharacters(in: .whitespacesAndNewlines)].map(PageCall.encoded)
            request.headers.add(
                name: "authorization", value: "Basic \(Data(pair.joined(separator: ":").utf8).base64EncodedString())")
        } else {
            fields.append(("client_id", signIn.clientID))
        }
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "accept", value: "application/json")
        request.body = .bytes(Array(PageCall.link("", fields).dropFirst().utf8))
        let answer = try await Issuer.json(http, request, orThrow: failure)
        guard let token = answer["id_token"]?.stringValue.flatMap(SignedToken.init) else { throw failure }
        try await token.verify(by: issuer, audience: signIn.clientID, nonce: nonce, at: now)
        return token
    }

    static func failure(_ rule: IssuerRule) -> Problem {
        Problem(
            .badGateway, "sign_in_failed",
            "'\(rule.name)' did not say who you are. Sign in again; if it stays so, look at the settings.")
    }
}
