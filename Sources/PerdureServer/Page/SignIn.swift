internal import AsyncHTTPClient
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Perdure
internal import PerdureHistory

/// How people begin and end a session.
struct SignIn: Sendable {
    let gate: IdentityGate
    let http: HTTPClient

    /// Where somebody signs in who asked for an address.
    static func address(for target: String) -> String { PageCall.link("/sign-in", [("to", target)]) }

    /// Only a place on this server: whoever makes a link must not send people elsewhere by our name.
    static func target(_ text: String?) -> String {
        guard let text, text.hasPrefix("/"), !text.hasPrefix("//"), !text.contains("\\"), text.utf8.count <= 1_000,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return "/" }
        return text
    }

    func model(_ target: String, problem: String? = nil) -> Model {
        let issuers = gate.access.rules.issuers.filter { $0.signIn != nil }
        var model: Model = [
            "target": .string(target), "hasIssuers": .bool(!issuers.isEmpty),
            "issuers": .array(
                issuers.map { rule in
                    [
                        "name": .string(rule.name),
                        "href": .string(PageCall.link("/sign-in/\(rule.name)", [("to", target)])),
                    ]
                }),
        ]
        model.offer("problem", problem)
        return model
    }

    // MARK: With an issuer

    func begin(_ name: String, _ target: String, _ request: Request) async throws -> Response {
        let (issuer, signIn) = try issuer(name)
        guard let endpoint = try await issuer.endpoints().authorization else { throw CodeFlow.failure(issuer.rule) }
        let flow = CodeFlow(issuer: name, target: target, now: gate.now())
        let address = try flow.address(at: endpoint, issuer.rule, signIn, back: try back(name, request))
        var response = Response(status: .seeOther, headers: [.location: address, .cacheControl: "no-store"])
        // It comes back from another site.
        response.setCookie(Self.cookie(CodeFlow.cookie, flow.value))
        return response
    }

    func finish(_ name: String, _ request: Request, _ query: Fields) async throws -> Response {
        let (issuer, signIn) = try issuer(name)
        guard let flow = request.cookies[CodeFlow.cookie].flatMap({ CodeFlow($0.value) }), flow.issuer == name,
            query["state"] == flow.state, gate.now() < flow.expiresAt
        else {
            throw Problem(.badRequest, "sign_in_outdated", "This sign-in was not begun here, or too long ago. Begin it again.")
        }
        guard let code = query["code"] else { throw CodeFlow.failure(issuer.rule) }
        let token = try await flow.token(
            for: code, from: issuer, signIn, back: try back(name, request), http: http, now: gate.now())
        let (principal, groups) = try token.identity(issuer.rule, gate.access.rules)
        let secret = try await gate.sessions.begin(principal, groups: groups, issuer: issuer.rule)
        var response = signedIn(secret, to: Self.target(flow.target))
        response.setCookie(Self.cookie(CodeFlow.cookie, "", maxAge: 0))
        return response
    }

    private func issuer(_ name: String) throws -> (Issuer, IssuerRule.SignIn) {
        guard let issuer = gate.access.issuer(named: name), let signIn = issuer.rule.signIn else {
            throw Problem(.notFound, "address_unknown", "Nobody signs in with '\(name)' here.")
        }
        return (issuer, signIn)
    }

    private func back(_ name: String, _ request: Request) throws(Problem) -> String {
        "\(try gate.origin(of: request))/sign-in/\(name)/callback"
    }

    // MARK: With a token

    func signIn(token text: String, _ target: String) async throws -> Response {
        let token = try await gate.token(text)
        let secret = try await gate.sessions.begin(token.principal, token: token)
        return signedIn(secret, to: target)
    }

    // MARK: Cookies

    private func signedIn(_ secret: String, to target: String) -> Response {
        var response = Response(status: .seeOther, headers: [.location: target, .cacheControl: "no-store"])
        response.setCookie(Self.cookie(IdentityGate.sessionCookie, secret))
        return response
    }

    func end(_ request: Request) async throws -> Response {
        if let cookie = request.cookies[IdentityGate.sessionCookie]?.value { try await gate.sessions.end(cookie) }
        var response = Response(status: .seeOther, headers: [.location: "/sign-in", .cacheControl: "no-store"])
        response.setCookie(Self.cookie(IdentityGate.sessionCookie, "", maxAge: 0))
        return response
    }

    /// Lax, so that whoever follows a link from a message is still signed in. What changes something is checked by where it comes from, and
    /// by the mark of its form.
    private static func cookie(_ name: String, _ value: String, maxAge: Int? = nil) -> Cookie {
        Cookie(name: name, value: value, maxAge: maxAge, path: "/", secure: true, httpOnly: true, sameSite: .lax)
    }
}
