internal import Foundation
internal import JWTKit
internal import PerdureHistory

/// A public key of an issuer (RFC 7517).
struct SigningKey: Sendable {
    /// Those of a public and a private key. With one of a shared secret everybody who checks could sign as well.
    private static let algorithms: [String: String] = [
        "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA", "ES256": "EC",
        "ES384": "EC",
        "ES512": "EC", "EdDSA": "OKP",
    ]

    let id: String?
    private let json: JSONObject
    private let type: String

    /// nil for one that nothing is signed with, or of a kind that is not known: others of the set are good all the same.
    init?(_ json: JSONValue) {
        guard let object = json.objectValue, let type = json["kty"]?.stringValue, Self.algorithms.values.contains(type),
            json["use"]?.stringValue ?? "sig" == "sig"
        else { return nil }
        self.json = object
        self.type = type
        id = json["kid"]?.stringValue
    }

    static func knows(_ algorithm: String) -> Bool { algorithms[algorithm] != nil }

    /// Whether the token is signed with this key by this algorithm.
    func verifies(_ token: String, by algorithm: String) async -> Bool {
        guard Self.algorithms[algorithm] == type, json["alg"]?.stringValue ?? algorithm == algorithm else { return false }
        // One collection for each look: one that is kept falls back to other keys, and learns an algorithm from the first token.
        var json = json
        json["alg"] = .string(algorithm)
        json["kid"] = json["kid"] ?? "key"
        do {
            let key = try JSONDecoder().decode(JWK.self, from: Data(JSONValue.object(json).canonicalBytes))
            let keys = try await JWTKeyCollection().add(jwk: key)
            _ = try await keys.verify(token, as: Signed.self)
            return true
        } catch {
            return false
        }
    }

    /// The signature alone is looked at: what a token claims is read and checked by us.
    private struct Signed: JWTPayload {
        init(from decoder: any Decoder) {}
        func encode(to encoder: any Encoder) {}
        func verify(using algorithm: some JWTAlgorithm) {}
    }
}
