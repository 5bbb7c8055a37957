import AsyncHTTPClient
import Crypto
import CryptoExtras
import Foundation
import HTTPTypes
import Logging
import NIOHTTP1
import Perdure
import PerdureEngine
import PerdureHistory
import Synchronization
import Testing

@testable import PerdureServer

/// Tokens of issuers (OpenID Connect), good ones and the ways in that are none.
@Suite(.timeLimit(.minutes(5))) struct IssuerTests {
    private static func access(_ issuer: TestIssuer, _ more: JSONObject = [:]) -> String {
        var rules: JSONObject = [
            "issuers": [["name": "corp", "issuer": .string(issuer.address), "audience": "perdure"]],
            "grants": [
                ["to": ["corp:ada"], "in": ["default"], "roles": ["operator"]],
                ["to": ["group:corp:eyes"], "in": ["*"], "roles": ["viewer"]],
            ],
        ]
        for member in more.members { rules[member.key] = member.value }
        return JSONValue.object(rules).canonicalText
    }

    /// A server that believes the issuer, which has a key `k`.
    private static func withIssuer(
        _ more: JSONObject = [:], _ body: @Sendable @escaping (TestIssuer, ControlDesk) async throws -> Void
    ) async throws {
        try await TestIssuer.run { issuer in
            issuer.set(.p256(P256.Signing.PrivateKey()), as: "k")
            let text = access(issuer, more)
            try await atControl(settings: { ["api.access": try $0.write("access.json", text)] }) { desk, _ in
                try await body(issuer, desk)
            }
        }
    }

    @Test func `a token of an issuer shows who asks, and grants say what they may`() async throws {
        try await Self.withIssuer { issuer, desk in
            issuer.set(.rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048)), as: "r")
            issuer.set(.ed25519(Curve25519.Signing.PrivateKey()), as: "e")
            for key in ["k", "r", "e"] {
                let token = try issuer.token(
                    issuer.claims("ada", audience: ["other", "perdure"], ["groups": ["eyes", "x"]]), by: key)
                let me = try await desk.ask(.GET, "/v1/me", by: .bearer(token))
                #expect(me.status == 200 && me.json["id"] == "corp:ada" && me.json["kind"] == "human", "\(key): \(me.text)")
                #expect(me.json["authentication"]?.stringValue == "oidc \(issuer.address)")
                #expect(me.json["roles"] == ["*": ["viewer"], "default": ["operator"]])
            }
            let stranger = try issuer.token(issuer.claims("eve"), by: "k")
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(stranger)).json["roles"] == [:])
            #expect(try await desk.ask(.GET, "/v1/namespaces/default/runs", by: .bearer(stranger)).status == 403)
            // What somebody may is what they may: no more by asking in another way.
            let token = try issuer.token(issuer.claims("ada"), by: "k")
            #expect(try await desk.ask(.GET, "/v1/namespaces/other/runs", by: .bearer(token)).status == 403)
            let run = try await desk.start("wait", "x", by: .bearer(token))
            let by = try await desk.client.history(of: run).first?.attribute("by")
            #expect(by?["id"] == "corp:ada" && by?["authentication"]?.stringValue == "oidc \(issuer.address)")
        }
    }

    @Test func `a token that is not for this server, not now, or not signed by its issuer is refused`() async throws {
        try await Self.withIssuer { issuer, desk in
            let now = Int64(Date().timeIntervalSince1970), good = issuer.claims("ada")
            func with(_ name: String, _ value: JSONValue) -> JSONObject {
                var claims = good
                claims[name] = value
                return claims
            }
            let token = try issuer.token(good, by: "k"), parts = token.split(separator: ".").map(String.init)
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(token)).status == 200)
            var wrong = [
                "aud": try issuer.token(with("aud", "another"), by: "k"), "aud empty": try issuer.token(with("aud", []), by: "k"),
                "aud number": try issuer.token(with("aud", 7), by: "k"),
                "no aud": try issuer.token(good, by: "k", without: ["aud"]),
                "iss": try issuer.token(with("iss", "https://evil.example"), by: "k"),
                "iss slash": try issuer.token(with("iss", .string(issuer.address + "/")), by: "k"),
                "expired": try issuer.token(with("exp", .integer(now - 61)), by: "k"),
                "no exp": try issuer.token(good, by: "k", without: ["exp"]),
                "exp text": try issuer.token(with("exp", "9999999999"), by: "k"),
                "exp huge": try issuer.token(with("exp", .integer(.max)), by: "k"),
                "nbf": try issuer.token(with("nbf", .integer(now + 120)), by: "k"),
                "iat": try issuer.token(with("iat", .integer(now + 120)), by: "k"),
                "nbf text": try issuer.token(with("nbf", "x"), by: "k"), "sub empty": try issuer.token(with("sub", ""), by: "k"),
                "no sub": try issuer.token(good, by: "k", without: ["sub"]),
                "sub control": try issuer.token(with("sub", "ada\n"), by: "k"),
                "crit": try issuer.token(good, by: "k", header: ["crit": ["exp"]]),
                "alg none": try issuer.token(good, by: "k", header: ["alg": "none"]),
                "alg HS256": try issuer.token(good, by: "k", header: ["alg": "HS256"]),
                "alg RS256": try issuer.token(good, by: "k", header: ["alg": "RS256"]),
                "alg ES384": try issuer.token(good, by: "k", header: ["alg": "ES384"]),
                "no signature": "\(parts[0]).\(parts[1]).", "two parts": "\(parts[0]).\(parts[1])",
                "four parts": token + ".x",
                "other claims": "\(parts[0]).\(Base64URL.encode(Array(#"{"sub":"bob"}"#.utf8))).\(parts[2])",
                "long": parts[0] + "." + String(repeating: "A", count: 20_000) + "." + parts[2], "text": "hello", "dots": "..",
                "sub decomposed": try issuer.token(with("sub", "re\u{301}"), by: "k"),
                "logout": try issuer.token(good, by: "k", header: ["typ": "logout+jwt"]),
                "events": try issuer.token(with("events", [:]), by: "k"),
            ]
            // A key of the same name that is not the issuer's.
            let thief = TestIssuer()
            thief.set(.p256(P256.Signing.PrivateKey()), as: "k")
            wrong["stolen name"] = try thief.token(good, by: "k")
            // The public key as the secret of an HMAC.
            let hmac = Base64URL.encode(Array(#"{"alg":"HS256","kid":"k"}"#.utf8)) + "." + parts[1]
            wrong["HMAC"] =
                hmac + "."
                + Base64URL.encode(
                    Array(HMAC<SHA256>.authenticationCode(for: Data(hmac.utf8), using: SymmetricKey(data: Data("key".utf8)))))
            let before = issuer.looks
            for (name, token) in wrong.sorted(by: { $0.key < $1.key }) {
                // Each as somebody else's first guess.
                let gate = try Guessing(issuer.address)
                #expect(await gate.refuses(token), "\(name)")
            }
            #expect(issuer.looks - before <= 2 * wrong.count)
        }
    }

    /// The check of a token alone, without the limit on guesses.
    private struct Guessing {
        let issuer: Issuer
        let rules: AccessRules

        init(_ address: String) throws {
            let json: JSONValue = ["issuers": [["name": "corp", "issuer": .string(address), "audience": "perdure"]]]
            rules = try AccessRules(json.canonicalBytes, path: "test")
            issuer = Issuer(
                try #require(rules.issuers.first), http: .shared, now: { Timestamp(Date()) },
                logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
        }

        func refuses(_ text: String) async -> Bool {
            guard let token = SignedToken(text), token.issuer == issuer.rule.address else { return true }
            do {
                try await token.verify(by: issuer, audience: "perdure", at: Timestamp(Date()))
                _ = try token.identity(issuer.rule, rules)
                return false
            } catch {
                return (error as? Problem)?.status == .unauthorized
            }
        }
    }

    @Test func `keys that change are followed, and asked for no more often than they have to be`() async throws {
        try await TestIssuer.run { server in
            let clock = Mutex(Timestamp(Date()))
            let json: JSONValue = ["issuers": [["name": "corp", "issuer": .string(server.address), "audience": "perdure"]]]
            let rules = try AccessRules(json.canonicalBytes, path: "test")
            let issuer = Issuer(
                try #require(rules.issuers.first), http: .shared, now: { clock.withLock { $0 } },
                logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
            func pass(_ duration: Duration) { clock.withLock { $0 = $0 + duration } }
            func isGood(_ key: String) async throws -> Bool {
                let token = try #require(SignedToken(try server.token(server.claims("ada"), by: key)))
                do {
                    try await token.verify(by: issuer, audience: "perdure", at: Timestamp(Date()))
                    return true
                } catch let problem as Problem where problem.status == .unauthorized {
                    return false
                }
            }
            func settle(_ looks: Int) async throws {
                while server.looks < looks { await Task.yield() }
                while await issuer.fetch != nil { await Task.yield() }
            }
            // What we do not know, and what nothing is signed with, does not keep us from the others.
            server.add(["kty": "XYZ", "kid": "odd"])
            server.add(["kty": "EC", "crv": "P-999", "kid": "curve", "x": "AA", "y": "AA"])
            server.add(["kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB"])
            server.add(["kty": "EC"])
            server.add("nonsense")
            server.set(.p256(P256.Signing.PrivateKey()), as: "one")
            #expect(try await isGood("one") && server.looks == 1)
            #expect(try await isGood("one") && server.looks == 1)
            // A name that nobody has seen is looked for, but not again and again.
            server.set(.p256(P256.Signing.PrivateKey()), as: "two")
            #expect(try await !isGood("two") && server.looks == 1)
            pass(Issuer.shortestPause)
            #expect(try await isGood("two") && server.looks == 2)
            // One that is gone is believed until the keys are had again, for which nobody waits.
            server.remove("one")
            pass(Issuer.lifetime)
            #expect(try await isGood("two"))
            try await settle(3)
            // An issuer that is away locks nobody out, for a day.
            server.set(isAway: true)
            pass(Issuer.lifetime)
            #expect(try await isGood("two"))
            try await settle(4)
            pass(Issuer.longestLifetime)
            await #expect(throws: Problem.self) { _ = try await isGood("two") }
            // And is asked again when it is back.
            server.set(isAway: false)
            pass(Issuer.shortestPause)
            #expect(try await isGood("two"))
        }
    }

    @Test func `where the issuer was never reached it is said that nobody can be known now`() async throws {
        try await Self.withIssuer { issuer, desk in
            issuer.set(isAway: true)
            let reply = try await desk.ask(.GET, "/v1/me", by: .bearer(try issuer.token(issuer.claims("ada"), by: "k")))
            #expect(reply.status == 503 && reply.code == "issuer_unreachable")
        }
    }

    // Promise: 23
    @Test func `one person by two ways is one, and cannot approve their own`() async throws {
        let more: JSONObject = [
            "aliases": ["corp:ada": "ada", "corp:ada-at-night": "ada"],
            "grants": [["to": ["ada"], "in": ["default"], "roles": ["starter", "approver"]]],
        ]
        try await Self.withIssuer(more) { issuer, desk in
            let day = try issuer.token(issuer.claims("ada"), by: "k"),
                night = try issuer.token(issuer.claims("ada-at-night"), by: "k")
            let me = try await desk.ask(.GET, "/v1/me", by: .bearer(night))
            #expect(me.json["id"] == "ada" && me.json["authentication"]?.stringValue?.hasSuffix("as corp:ada-at-night") == true)
            let run = try await desk.start("errand", ["item": "bread", "fails": false], by: .bearer(day))
            try await desk.client.wait { try await !$0.pendingQuestions(of: run).isEmpty }
            try await desk.client.answer(run, question: "size", with: "big", by: Principal(.human, "carol"))
            try await desk.client.wait { try await !$0.pendingApprovals(of: run).isEmpty }
            let approval = try #require(try await desk.client.pendingApprovals(of: run).first)
            let reply = try await desk.ask(
                .POST, "/v1/namespaces/default/runs/\(run)/decide", by: .bearer(night),
                json: ["step": .string(approval.step), "digest": .string(approval.digest), "approve": true])
            #expect(reply.status == 403 && reply.code == "approval_not_permitted")
        }
    }

    // MARK: Signing in at the page

    @Test func `people sign in with the issuer, each in the browser that began it`() async throws {
        try await TestIssuer.run { issuer in
            issuer.set(.p256(P256.Signing.PrivateKey()), as: "k")
            try await atControl(settings: { place in
                let secret = try place.write("secret", "s3cret/+\n")
                let rules: JSONValue = [
                    "issuers": [
                        [
                            "name": "corp", "issuer": .string(issuer.address), "audience": "api",
                            "sign_in": ["client_id": "page", "client_secret_file": .string(secret), "scopes": "openid groups"],
                        ]
                    ], "grants": [["to": ["group:corp:eyes"], "in": ["default"], "roles": ["viewer"]]],
                ]
                return ["api.access": try place.write("access.json", rules.canonicalText)]
            }) { desk, _ in
                let page = try await desk.ask(.GET, "/sign-in?to=/namespaces/default/runs")
                #expect(
                    page.text.contains("Go on with corp") && page.text.contains("/sign-in/corp?to=%2Fnamespaces%2Fdefault%2Fruns")
                )
                let begun = try await desk.ask(.GET, "/sign-in/corp?to=/namespaces/default/runs")
                let sent = try #require(begun.location.flatMap { URLComponents(string: $0) })
                let asked = Dictionary(uniqueKeysWithValues: (sent.queryItems ?? []).map { ($0.name, $0.value ?? "") })
                #expect(begun.status == 303 && begun.location?.hasPrefix("\(issuer.address)/authorize?") == true)
                #expect(asked["response_type"] == "code" && asked["client_id"] == "page" && asked["prompt"] == "login")
                #expect(
                    asked["redirect_uri"] == "\(desk.address)/sign-in/corp/callback" && asked["code_challenge_method"] == "S256")
                let flow = try #require(begun.cookie(CodeFlow.cookie)), state = try #require(asked["state"])
                let challenge = try #require(asked["code_challenge"]), nonce = JSONValue.string(try #require(asked["nonce"]))

                func finish(_ code: String, _ claims: JSONObject, state: String, cookie: String?) async throws
                    -> ControlDesk.Reply
                {
                    issuer.give(code, claims, challenge: challenge)
                    return try await desk.ask(
                        .GET, "/sign-in/corp/callback?code=\(code)&state=\(state)",
                        headers: cookie.map { [("cookie", "\(CodeFlow.cookie)=\($0)")] } ?? [])
                }
                let claims = issuer.claims("ada", audience: "page", ["nonce": nonce, "groups": ["eyes"]])
                // In another browser, or with another state, it was not begun.
                #expect(try await finish("a", claims, state: state, cookie: nil).status == 400)
                #expect(try await finish("b", claims, state: "x", cookie: flow).status == 400)
                // A token for programs is not one for the page, nor one that answers another request.
                for other in [
                    issuer.claims("ada", audience: "api", ["nonce": nonce]),
                    issuer.claims("ada", audience: "page", ["nonce": "x"]),
                    issuer.claims("ada", audience: "page"),
                    issuer.claims("ada", audience: ["page", "api"], ["nonce": nonce, "azp": "api"]),
                    issuer.claims("ada", audience: ["page", "api"], ["nonce": nonce]),
                ] {
                    let reply = try await finish("c", other, state: state, cookie: flow)
                    #expect(reply.status == 401 && reply.cookie(IdentityGate.sessionCookie) == nil)
                }
                let done = try await finish("d", claims, state: state, cookie: flow)
                #expect(done.status == 303 && done.location == "/namespaces/default/runs", "\(done.text)")
                let session = try #require(done.cookie(IdentityGate.sessionCookie))
                let shown = try await desk.ask(.GET, "/namespaces/default", by: .session(session))
                #expect(shown.status == 200 && shown.text.contains("corp:ada"))
                #expect(try await desk.ask(.GET, "/namespaces/other", by: .session(session)).status == 403)
                let exchange = try #require(issuer.exchanges.last)
                #expect(exchange["grant_type"] == "authorization_code" && exchange["redirect_uri"] == asked["redirect_uri"])
                #expect(
                    exchange["authorization"] == "Basic \(Data("page:s3cret%2F%2B".utf8).base64EncodedString())")
                // And the token of the page is none for programs.
                let page2 = try issuer.token(claims, by: "k")
                #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(page2)).status == 401)
            }
        }
    }
}
