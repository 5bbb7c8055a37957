internal import Crypto
internal import Foundation
internal import PerdureHistory

/// Signs and verifies as Standard Webhooks (version 1.0.0 of its specification) say: HMAC-SHA256 over id, time and body.
enum WebhookSignature {
    /// How far the time in a message may be from ours.
    static let tolerance = Duration.seconds(300)
    private static let version = "v1,", mostSignatures = 16

    /// What stands in `webhook-signature`: one for each secret.
    ///
    /// - Parameter time: Seconds since 1970.
    static func field(id: String, time: Int64, body: [UInt8], secrets: [HookSecret]) -> String {
        let signed = signed(id, String(time), body)
        return secrets.map { secret in
            let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: secret.bytes))
            return version + Data(code).base64EncodedString()
        }.joined(separator: " ")
    }

    /// Whether one of the signatures was made with one of the secrets, at about this time. All are compared, each in constant time, so
    /// that nobody learns from how long it takes which of them was nearly right.
    static func isValid(
        _ field: String, id: String, time: String, body: [UInt8], secrets: [HookSecret], now: Timestamp
    ) -> Bool {
        let signatures = field.split(separator: " ").prefix(mostSignatures).compactMap { signature in
            signature.hasPrefix(version) ? Data(base64Encoded: String(signature.dropFirst(version.count))) : nil
        }
        let signed = signed(id, time, body)
        var isSigned = false
        for secret in secrets {
            let key = SymmetricKey(data: secret.bytes)
            for signature in signatures
            where HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key) {
                isSigned = true
            }
        }
        return isSigned && isID(id) && isRecent(time, now)
    }

    /// What stands between dots must have none, or another split would have the same signature.
    static func isID(_ id: String) -> Bool {
        (1...256).contains(id.utf8.count) && id.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ".") }
    }

    static func isRecent(_ time: String, _ now: Timestamp) -> Bool {
        guard (1...12).contains(time.utf8.count), time.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int64(time)
        else { return false }
        let distance = now.duration(since: .epoch + .seconds(seconds))
        return distance <= tolerance && distance >= .zero - tolerance
    }

    private static func signed(_ id: String, _ time: String, _ body: [UInt8]) -> [UInt8] { Array("\(id).\(time).".utf8) + body }
}

extension WebhookSignature {
    /// The headers that carry it, as the description of the API has them.
    static let parameters: [JSONValue] = [
        ("webhook-id", "Names the message: repeated under the same one it is taken once.", "^[!-\\-/-~]{1,256}$"),
        ("webhook-timestamp", "Seconds since 1970, within five minutes of now.", "^[0-9]{1,12}$"),
        (
            "webhook-signature",
            "'v1,' and the HMAC-SHA256 of id, '.', time, '.' and body in base64; several with spaces between.", "^v1,"
        ),
    ].map { name, about, pattern in
        [
            "name": .string(name), "in": "header", "required": true, "description": .string(about),
            "schema": ["type": "string", "pattern": .string(pattern)],
        ]
    }
}
