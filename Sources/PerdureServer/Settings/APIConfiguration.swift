internal import Foundation
internal import Perdure

/// How `perdure serve` serves the API and the page.
package struct APIConfiguration: Sendable {
    package struct TLS: Sendable {
        /// PEM files: the certificate with those that lead to one which others know, and its key.
        package let certificate: String
        package let key: String
        /// PEM file of those who make certificates for clients; nil if none is asked for.
        package let clients: String?
    }

    package let address: ListenAddress
    /// What browsers and programs call the server: scheme, name and port.
    package let origin: String?
    /// The file that says who may what.
    package let access: String?
    /// How many requests of one caller are answered in a second.
    package let rate: Int
    package let tls: TLS?

    /// - Returns: nil if nothing is to be served.
    /// - Throws: `PerdureError` with `configuration_invalid` for values that cannot be, or that contradict each other.
    init?(_ settings: Settings) throws {
        let address = try settings.checked(.apiAddress) { value -> ListenAddress? in
            guard case .text(let text) = value, let address = ListenAddress(text) else {
                throw Refusal("has to be an address and a port, such as \"127.0.0.1:7434\" or \"0.0.0.0:443\"")
            }
            return address
        }
        tls = try Self.tls(settings)
        access = settings.text(.apiAccess)
        rate = settings.number(.apiRate) ?? 100
        guard let address else { return nil }
        self.address = address
        origin = try settings.checked(.apiURL) { value in
            guard case .text(let text) = value, let origin = Self.origin(text) else {
                throw Refusal("has to be an https address without a path, such as \"https://perdure.example.org\"")
            }
            return origin
        }
        guard address.isLoopback || tls != nil else {
            throw PerdureError(
                .configurationInvalid,
                "'\(Setting.apiAddress.key)' is not of this machine alone, so that '\(Setting.tlsCertificate.key)' and "
                    + "'\(Setting.tlsKey.key)' have to be set: nobody shows who they are over an open line. Behind a proxy that does TLS "
                    + "on the same machine use 127.0.0.1.")
        }
        guard address.isLoopback || origin != nil else {
            throw PerdureError(
                .configurationInvalid,
                "'\(Setting.apiURL.key)' has to say by which address the server is reached: requests under another name are refused."
            )
        }
    }

    private static func tls(_ settings: Settings) throws -> TLS? {
        switch (settings.text(.tlsCertificate), settings.text(.tlsKey)) {
        case (let certificate?, let key?):
            return TLS(certificate: certificate, key: key, clients: settings.text(.tlsClients))
        case (nil, nil):
            guard settings.text(.tlsClients) == nil else {
                throw Setting.tlsClients.refused(settings[.tlsClients].origin, "asks for certificates, which takes TLS")
            }
            return nil
        case (nil, _): throw Setting.tlsKey.refused(settings[.tlsKey].origin, "is set, and no certificate is")
        case (_, nil): throw Setting.tlsCertificate.refused(settings[.tlsCertificate].origin, "is set, and no key is")
        }
    }

    /// Scheme, name and port as browsers write them.
    private static func origin(_ text: String) -> String? {
        guard let url = URLComponents(string: text.lowercased()), let host = url.host, !host.isEmpty, url.query == nil,
            url.fragment == nil, url.user == nil, ["", "/"].contains(url.path)
        else { return nil }
        let isLoopback = LoopbackGate.isLoopback(host)
        guard url.scheme == "https" || url.scheme == "http" && isLoopback else { return nil }
        let usual = url.scheme == "https" ? 443 : 80
        return "\(url.scheme ?? "https")://\(host)" + (url.port.flatMap { $0 == usual ? nil : ":\($0)" } ?? "")
    }
}
