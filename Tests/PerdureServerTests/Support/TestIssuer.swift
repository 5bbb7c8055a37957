import Crypto
import CryptoExtras
import Foundation
import Hummingbird
import Logging
import NIOCore
import PerdureHistory
import Synchronization

@testable import PerdureServer

/// An issuer of OpenID Connect on this machine: discovery, keys that can be changed, and the end of a code flow. It signs by itself, and
/// not by the library that the server checks with.
final class TestIssuer: Sendable {
    enum Key: Sendable {
        case p256(P256.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)

        var algorithm: String {
            switch self {
            case .p256: "ES256"
            case .ed25519: "EdDSA"
            case .rsa: "RS256"
            }
        }

        func sign(_ bytes: Data) throws -> [UInt8] {
            switch self {
            case .p256(let key): Array(try key.signature(for: bytes).rawRepresentation)
            case .ed25519(let key): Array(try key.signature(for: bytes))
            case .rsa(let key):
                Array(try key.signature(for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation)
            }
        }

        func json(_ id: String) throws -> JSONObject {
            switch self {
            case .p256(let key):
                let point = Array(key.publicKey.rawRepresentation)
                return [
                    "kty": "EC", "crv": "P-256", "kid": .string(id), "x": .string(Base64URL.encode(Array(point[..<32]))),
                    "y": .string(Base64URL.encode(Array(point[32...]))),
                ]
            case .ed25519(let key):
                return [
                    "kty": "OKP", "crv": "Ed25519", "kid": .string(id), "alg": "EdDSA",
                    "x": .string(Base64URL.encode(Array(key.publicKey.rawRepresentation))),
                ]
            case .rsa(let key):
                let numbers = try key.publicKey.getKeyPrimitives()
                return [
                    "kty": "RSA", "use": "sig", "kid": .string(id), "n": .string(Base64URL.encode(Array(numbers.modulus))),
                    "e": .string(Base64URL.encode(Array(numbers.publicExponent))),
                ]
            }
        }
    }

    private struct State {
        var keys: [String: Key] = [:]
        /// What stands among the keys beside ours.
        var others: [JSONValue] = []
        var isAway = false
        var looks = 0
        /// By code: what its token says, and the challenge that the verifier has to fit.
        var codes: [String: (claims: JSONObject, challenge: String)] = [:]
        var exchanges: [[String: String]] = []
    }

    private let state = Mutex(State())
    private let port = Mutex(0)

    var address: String { "http://127.0.0.1:\(port.withLock { $0 })" }
    /// How often its keys were fetched.
    var looks: Int { state.withLock { $0.looks } }
    /// What came with each exchange of a code.
    var exchanges: [[String: String]] { state.withLock { $0.exchanges } }

    func set(_ key: Key, as id: String) { state.withLock { $0.keys[id] = key } }
    func remove(_ id: String) { state.withLock { $0.keys[id] = nil } }
    func add(_ json: JSONValue) { state.withLock { $0.others.append(json) } }
    func set(isAway: Bool) { state.withLock { $0.isAway = isAway } }
    func give(_ code: String, _ claims: JSONObject, challenge: String) { state.withLock { $0.codes[code] = (claims, challenge) } }

    // MARK: Tokens

    /// Usual claims, good for five minutes.
    func claims(_ subject: String, audience: JSONValue = "perdure", _ more: JSONObject = [:]) -> JSONObject {
        let now = Int64(Date().timeIntervalSince1970)
        var claims: JSONObject = [
            "iss": .string(address), "sub": .string(subject), "aud": audience, "iat": .integer(now), "exp": .integer(now + 300),
        ]
        for member in more.members { claims[member.key] = member.value }
        return claims
    }

    func token(_ claims: JSONObject, by id: String, header more: JSONObject = [:], without dropped: [String] = []) throws
        -> String
    {
        guard let key = state.withLock({ $0.keys[id] }) else { throw Missing(text: id) }
        var header: JSONObject = ["alg": .string(key.algorithm), "kid": .string(id), "typ": "JWT"]
        for member in more.members { header[member.key] = member.value }
        var claims = claims
        for name in dropped {
            header[name] = nil
            claims[name] = nil
        }
        let text = [header, claims].map { Base64URL.encode(JSONValue.object($0).canonicalBytes) }.joined(separator: ".")
        return text + "." + Base64URL.encode(try key.sign(Data(text.utf8)))
    }

    // MARK: What it answers

    private var keySet: JSONValue {
        get throws {
            let keys = try state.withLock { state in
                state.looks += 1
                if state.isAway { throw Missing(text: "away") }
                return try state.others + state.keys.map { try .object($0.value.json($0.key)) }
            }
            return ["keys": .array(keys)]
        }
    }

    /// The token for a code, which is good once, and only with the verifier of whoever asked for it.
    private func exchange(_ fields: [String: String]) throws -> JSONValue {
        let found = state.withLock { state in
            state.exchanges.append(fields)
            return fields["code"].flatMap { state.codes.removeValue(forKey: $0) }
        }
        guard let found, let verifier = fields["code_verifier"],
            Base64URL.encode(Array(SHA256.hash(data: Data(verifier.utf8)))) == found.challenge,
            let id = state.withLock({ $0.keys.keys.sorted().first })
        else { throw Missing(text: "no such code") }
        return ["id_token": .string(try token(found.claims, by: id)), "token_type": "Bearer", "access_token": "unused"]
    }

    /// Serves as long as the body works.
    static func run(_ body: (TestIssuer) async throws -> Void) async throws {
        let issuer = TestIssuer(), router = Router()
        @Sendable func answer(_ value: () throws -> JSONValue) -> Response {
            guard let value = try? value() else { return Response(status: .serviceUnavailable) }
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: ByteBuffer(string: value.canonicalText)))
        }
        router.get(".well-known/openid-configuration") { _, _ in
            answer {
                [
                    "issuer": .string(issuer.address), "jwks_uri": .string("\(issuer.address)/keys"),
                    "authorization_endpoint": .string("\(issuer.address)/authorize?prompt=login"),
                    "token_endpoint": .string("\(issuer.address)/token"),
                ]
            }
        }
        router.get("keys") { _, _ in answer { try issuer.keySet } }
        router.post("token") { request, _ in
            let body = try await request.body.collect(upTo: 65_536)
            var fields: [String: String] = ["authorization": request.headers[.authorization] ?? ""]
            for pair in String(buffer: body).split(separator: "&") {
                let halves = pair.split(separator: "=", maxSplits: 1).map { String($0).removingPercentEncoding ?? "" }
                if halves.count == 2 { fields[halves[0]] = halves[1] }
            }
            return answer { [fields] in try issuer.exchange(fields) }
        }
        let (ports, listening) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { listening.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "issuer") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await application.run() }
        defer { running.cancel() }
        if let port = await ports.first(where: { _ in true }) { issuer.port.withLock { $0 = port } }
        try await body(issuer)
    }
}
