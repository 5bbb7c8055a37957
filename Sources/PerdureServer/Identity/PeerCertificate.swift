internal import NIOCore
internal import NIOSSL
internal import Perdure
internal import PerdureHistory
internal import SwiftASN1
internal import X509

/// Whom a client's certificate names. That it is good was checked when the connection was made.
enum PeerCertificate {
    /// - Returns: nil if none was shown.
    /// - Throws: `Problem` with 401 if it names nobody that we could know.
    static func principal(over channel: any Channel, _ access: AccessRules, at now: Timestamp) async throws -> Principal? {
        guard let shown = try? await channel.nioSSL_peerCertificate().get() else { return nil }
        guard let certificate = try? Certificate(derEncoded: try shown.toDERBytes()),
            let names = try? certificate.extensions.subjectAlternativeNames
        else { throw unnamed }
        let mark = Hex.encode(SaltedDigest.plain((try? shown.toDERBytes()) ?? []).prefix(8))
        // A connection may last longer than what it was opened with.
        guard Timestamp(certificate.notValidAfter) > now else { throw SignedToken.refusal }
        var uris: [String] = [], addresses: [String] = [], hosts: [String] = []
        for name in names {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .rfc822Name(let address): addresses.append(address)
            case .dnsName(let host): hosts.append(host)
            default: continue
            }
        }
        // A SPIFFE id stands alone (X.509-SVID, 2), and before everything else.
        if let uri = uris.first, uris.count == 1, uri.hasPrefix("spiffe://") {
            return try principal(.workload, uri, mark, access)
        }
        guard uris.isEmpty else { throw unnamed }
        if let address = addresses.first, addresses.count == 1 { return try principal(.human, "mail:\(address)", mark, access) }
        if let host = hosts.first, addresses.isEmpty, hosts.count == 1 {
            return try principal(.workload, "dns:\(host)", mark, access)
        }
        throw unnamed
    }

    private static func principal(
        _ kind: Principal.Kind, _ own: String, _ mark: String, _ access: AccessRules
    ) throws -> Principal {
        let id = access.id(own)
        guard Name.isKey(id), own.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { throw unnamed }
        return Principal(kind, id, authentication: "certificate \(mark)", knownAs: own)
    }

    private static let unnamed = Problem.unauthorized(
        "credentials_invalid",
        "The certificate names nobody: among its alternative names it takes one SPIFFE id, one e-mail address or one DNS name.")
}
