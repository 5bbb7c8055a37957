internal import Foundation
internal import Perdure
internal import PerdureHistory

/// A token that an issuer has signed (RFC 7519), as far as it has been looked at.
struct SignedToken: Sendable {
    static let mostBytes = 16_384
    /// How far clocks may differ.
    static let skew = Duration.seconds(60)

    let claims: JSONValue
    private let text: String
    private let algorithm: String
    private let keyID: String?

    /// Nothing that it says is true before `verify`.
    ///
    /// - Returns: nil for what is no such token, or one of a kind that nobody here trusts.
    init?(_ text: String) {
        guard text.utf8.count <= Self.mostBytes else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.json(parts[0]), let claims = Self.json(parts[1]), header.objectValue != nil,
            claims.objectValue != nil, let algorithm = header["alg"]?.stringValue, SigningKey.knows(algorithm),
            // What has to be understood and is not makes it void (RFC 7515, 4.1.11).
            header["crit"] == nil,
            // Tokens that say something else are signed with the same keys: of a sign-out, of an event.
            ["jwt", "at+jwt", "application/at+jwt"].contains(header["typ"]?.stringValue?.lowercased() ?? "jwt"),
            claims["events"] == nil
        else { return nil }
        self.text = text
        self.claims = claims
        self.algorithm = algorithm
        keyID = header["kid"]?.stringValue
    }

    private static func json(_ part: Substring) -> JSONValue? {
        Base64URL.decode(part).flatMap { try? JSONValue.parse($0, what: "a token") }
    }

    var issuer: String? { claims["iss"]?.stringValue }

    /// Who it says that it was made for.
    private var audiences: [String] {
        claims["aud"]?.stringValue.map { [$0] } ?? (claims["aud"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    /// - Parameter nonce: What the token has to repeat, if it answers a request of ours.
    /// - Throws: `Problem` with 401 if it is not to be believed, with 503 if the issuer does not answer.
    func verify(by issuer: Issuer, audience: String, nonce: String? = nil, at now: Timestamp) async throws {
        guard self.issuer == issuer.rule.address, audiences.contains(audience), isTimely(now) else { throw Self.refusal }
        // One that was made for several has to say for whom of them (OpenID Connect Core 1.0, 3.1.3.7).
        if nonce != nil, claims["azp"] != nil || audiences.count > 1, claims["azp"]?.stringValue != audience {
            throw Self.refusal
        }
        if let nonce, claims["nonce"]?.stringValue != nonce { throw Self.refusal }
        for key in try await issuer.keys(for: keyID).prefix(20) where await key.verifies(text, by: algorithm) { return }
        throw Self.refusal
    }

    private func isTimely(_ now: Timestamp) -> Bool {
        func time(_ name: String) -> Timestamp? {
            claims[name]?.secondsValue.map { Timestamp(microseconds: Int64($0 * 1_000_000)) }
        }
        guard let end = time("exp"), now < end + Self.skew else { return false }
        for name in ["nbf", "iat"] where claims[name] != nil {
            guard let begin = time(name), begin <= now + Self.skew else { return false }
        }
        return true
    }

    /// Does not say what was wrong: that is for whoever made the token to find out, and not for whoever guesses.
    static let refusal = Problem.unauthorized(
        "credentials_invalid", "What was sent to show who asks is not valid, not for this server, or over.")

    /// Who the token speaks for, once it was verified.
    ///
    /// - Throws: `Problem` with 401 if it does not say.
    func identity(_ rule: IssuerRule, _ access: AccessRules) throws -> (principal: Principal, groups: [String]) {
        guard let subject = claims[rule.idClaim]?.stringValue, !subject.isEmpty else { throw Self.refusal }
        let own = "\(rule.name):\(subject)", id = access.id(own)
        // What looks the same and is not, as composed and decomposed letters are, must not pass for the same.
        guard Name.isKey(id), own.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { throw Self.refusal }
        // An address that nobody has checked may be anybody's.
        if rule.idClaim == "email", claims["email_verified"]?.boolValue != true { throw Self.refusal }
        let groups = (claims[rule.groupsClaim]?.arrayValue ?? []).compactMap(\.stringValue)
            .filter { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } }.prefix(1_000).map { "\(rule.name):\($0)" }
        return (Principal(rule.kind, id, authentication: "oidc \(rule.address)", knownAs: own), groups)
    }
}

extension JSONValue {
    /// Seconds since 1970, as tokens have them; nil for what cannot be a time.
    fileprivate var secondsValue: Double? {
        let value: Double? =
            switch self {
            case .integer(let number): Double(number)
            case .number(let number): number
            default: nil
            }
        return value.flatMap { (0...100_000_000_000).contains($0) ? $0 : nil }
    }
}

/// Base 64 for addresses (RFC 4648, 5), without padding.
enum Base64URL {
    static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") })
        else { return nil }
        let standard = String(text).replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        return Data(base64Encoded: standard + padding).map { Array($0) }
    }
}
