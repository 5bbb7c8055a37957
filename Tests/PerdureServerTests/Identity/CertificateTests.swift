import AsyncHTTPClient
import Crypto
import Foundation
import HTTPTypes
import Logging
import NIOHTTP1
import NIOSSL
import Perdure
import PerdureHistory
import SwiftASN1
import Testing
import X509

@testable import PerdureServer

/// The server over TLS, and clients that show a certificate.
@Suite(.timeLimit(.minutes(5))) struct CertificateTests {
    /// Makes certificates, as an authority that somebody runs.
    private struct Authority {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate: Certificate
        private let name: DistinguishedName

        init(_ commonName: String) throws {
            name = try DistinguishedName { CommonName(commonName) }
            certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: Date(timeIntervalSinceNow: -3_600),
                notValidAfter: Date(timeIntervalSinceNow: 86_400), issuer: name, subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                    Critical(KeyUsage(keyCertSign: true))
                }, issuerPrivateKey: key)
        }

        func issue(_ names: [GeneralName], until end: Date = Date(timeIntervalSinceNow: 3_600)) throws -> (
            certificate: String, key: String
        ) {
            let own = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: own.publicKey, notValidBefore: Date(timeIntervalSinceNow: -7_200),
                notValidAfter: end, issuer: name, subject: try DistinguishedName { CommonName("leaf") },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions { SubjectAlternativeNames(names) }, issuerPrivateKey: key)
            return (try certificate.serializeAsPEM().pemString, try own.serializeAsPEM().pemString)
        }
    }

    private static func serve(
        _ server: Authority, _ clients: Authority, showing leaf: (certificate: String, key: String)?,
        _ body: @Sendable @escaping (ControlDesk, ControlPlace) async throws -> Void
    ) async throws {
        let own = try server.issue([.dnsName("localhost")])
        let roots = try NIOSSLCertificate.fromPEMBytes(Array(try server.certificate.serializeAsPEM().pemString.utf8))
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(roots)
        if let leaf {
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(leaf.certificate.utf8)).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(leaf.key.utf8), format: .pem))
        }
        let rules = """
            {"aliases": {"mail:ada@example.org": "ada"},
             "grants": [{"to": ["spiffe://example.org/ci/*"], "in": ["default"], "roles": ["starter"]},
                        {"to": ["ada", "dns:build.example.org"], "in": ["default"], "roles": ["viewer"]}]}
            """
        try await atControl(
            settings: { place in
                [
                    "api.address": "127.0.0.1:0", "tls.certificate": try place.write("cert.pem", own.certificate),
                    "tls.key": try place.write("key.pem", own.key),
                    "tls.clients": try place.write("clients.pem", try clients.certificate.serializeAsPEM().pemString),
                    "api.access": try place.write("access.json", rules),
                ]
            }, http: { $0.tlsConfiguration = tls }
        ) { desk, place in
            // The certificate is for the name.
            let named = ControlDesk(
                client: desk.client, address: desk.address.replacing("127.0.0.1", with: "localhost"), http: desk.http)
            try await body(named, place)
        }
    }

    @Test(arguments: [
        ("spiffe://example.org/ci/deploy", "workload", "starter"), ("ada", "human", "viewer"),
        ("dns:build.example.org", "workload", "viewer"),
    ]) func `a certificate of a known authority shows who asks`(id: String, kind: String, role: String) async throws {
        let authority = try Authority("clients")
        let names: [GeneralName] =
            switch id {
            case "ada": [.rfc822Name("ada@example.org")]
            case "dns:build.example.org": [.dnsName("build.example.org")]
            default: [.dnsName("ignored.example.org"), .uniformResourceIdentifier(id)]
            }
        try await Self.serve(try Authority("servers"), authority, showing: try authority.issue(names)) { desk, _ in
            let me = try await desk.ask(.GET, "/v1/me")
            #expect(me.json["id"]?.stringValue == id && me.json["kind"]?.stringValue == kind, "\(me.text)")
            #expect(me.json["roles"] == ["default": [.string(role)]])
            #expect(me.json["authentication"]?.stringValue?.hasPrefix("certificate ") == true)
            #expect(me.headers.first(name: "strict-transport-security") != nil)
            // A token says more than a certificate.
            let token = try await desk.token(["auditor"], as: "t")
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(token)).json["id"] == "token:default/t")
        }
    }

    @Test func `a certificate that names nobody, or more than one, lets nobody in`() async throws {
        let authority = try Authority("clients"), server = try Authority("servers")
        let spiffe = GeneralName.uniformResourceIdentifier("spiffe://example.org/ci/deploy")
        for names in [
            [], [.uniformResourceIdentifier("https://example.org")],
            [spiffe, .uniformResourceIdentifier("spiffe://example.org/ci/other")],
            [.rfc822Name("ada@example.org"), .rfc822Name("bob@example.org")],
            [.dnsName("a.example.org"), .dnsName("b.example.org")],
        ] as [[GeneralName]] {
            try await Self.serve(server, authority, showing: try authority.issue(names)) { desk, _ in
                let reply = try await desk.ask(.GET, "/v1/me")
                #expect(reply.status == 401, "\(names)")
            }
        }
    }

    @Test func `a certificate of somebody else's authority, or one that is over, makes no connection`() async throws {
        let authority = try Authority("clients"), stranger = try Authority("clients"), server = try Authority("servers")
        let names = [GeneralName.uniformResourceIdentifier("spiffe://example.org/ci/deploy")]
        for leaf in [try stranger.issue(names), try authority.issue(names, until: Date(timeIntervalSinceNow: -60))] {
            try await Self.serve(server, authority, showing: leaf) { desk, _ in
                do {
                    let reply = try await desk.ask(.GET, "/v1/me")
                    Issue.record("it was answered: \(reply.status)")
                } catch {}
            }
        }
        // Without one a token will do.
        try await Self.serve(server, authority, showing: nil) { desk, _ in
            #expect(try await desk.ask(.GET, "/v1/me").status == 401)
            let token = try await desk.token(["viewer"])
            #expect(try await desk.ask(.GET, "/v1/me", by: .bearer(token)).status == 200)
        }
    }

    @Test func `files that do not fit, and settings that contradict each other, are refused at the start`() async throws {
        let place = ControlPlace(folder: FileManager.default.temporaryDirectory.appending(path: "perdure-tls-\(UUID())"))
        try FileManager.default.createDirectory(at: place.folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place.folder) }
        let authority = try Authority("servers"), one = try authority.issue([.dnsName("a")]),
            other = try authority.issue([.dnsName("a")])
        let certificate = try place.write("cert.pem", one.certificate), key = try place.write("key.pem", one.key)
        let wrong = try place.write("other.pem", other.key), nonsense = try place.write("nonsense.pem", "nonsense")
        func refused(_ flags: [String: String]) -> String? {
            do {
                let configuration = try ServeConfiguration(
                    Settings(flags: ["store": place.file("x.db")].merging(flags) { $1 }, variables: [:]))
                guard let api = configuration.api else { return nil }
                _ = try ControlServer(api, store: configuration.store, logger: .init(label: "t")) { _ in }
                return nil
            } catch {
                return (error as? PerdureError).map { $0.code == .configurationInvalid ? $0.message : "\($0)" }
            }
        }
        let tls = ["tls.certificate": certificate, "tls.key": key]
        #expect(refused(["api.address": "0.0.0.0:7443"])?.contains("'tls.certificate'") == true)
        #expect(refused(["api.address": "0.0.0.0:7443"].merging(tls) { $1 })?.contains("'api.url'") == true)
        #expect(refused(["api.address": "nowhere"])?.contains("an address and a port") == true)
        #expect(refused(["api.address": "127.0.0.1:0", "tls.certificate": certificate])?.contains("no key is") == true)
        #expect(refused(["api.address": "127.0.0.1:0", "tls.key": key])?.contains("no certificate is") == true)
        #expect(refused(["api.address": "127.0.0.1:0", "tls.clients": certificate])?.contains("takes TLS") == true)
        for url in ["http://perdure.example.org", "https://a/b", "perdure", "https://a?b", "ftp://a"] {
            #expect(refused(["api.address": "127.0.0.1:0", "api.url": url])?.contains("https address") == true, "\(url)")
        }
        for (certificate, key) in [(certificate, wrong), (certificate, nonsense), (nonsense, key), (place.file("none"), key)] {
            let said = refused(["api.address": "127.0.0.1:0", "tls.certificate": certificate, "tls.key": key])
            #expect(said?.contains("cannot be used") == true, "\(certificate) \(key): \(said ?? "accepted")")
        }
        #expect(refused(["api.address": "127.0.0.1:0", "api.access": nonsense])?.contains("is not JSON") == true)
    }
}
