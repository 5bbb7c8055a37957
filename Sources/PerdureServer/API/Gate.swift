internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Perdure

/// By which door a request comes in.
enum Way: Sendable, Hashable {
    case api
    case page
}

/// Who asks, and what they may.
protocol Gate: Sendable {
    /// Whether everybody who reaches the server may do everything, and says who they are.
    var trustsThisMachine: Bool { get }
    /// - Throws: `Problem` with 401 if nobody says who asks, or it is not true.
    @concurrent func caller(of request: Request, over channel: any Channel, by way: Way) async throws -> Caller
    /// Before anything of a signed message is read: whoever sends it is known only when all of it was.
    ///
    /// - Throws: `Problem` with 429 if too many come, 421.
    func admitMessage(_ request: Request) throws(Problem)
}

/// Trusts whoever reaches this machine from itself, and believes who they say they are: for one person at a desk, who plays all the parts.
/// A page of another site that the same person's browser shows is not trusted: it would have to come under its own name.
struct LoopbackGate: Gate {
    /// Who asks if nothing else is said: the user of the operating system that the process belongs to.
    let user: String

    var trustsThisMachine: Bool { true }

    @concurrent func caller(of request: Request, over channel: any Channel, by way: Way) async throws -> Caller {
        Caller(principal: try principal(of: request), rights: .unlimited)
    }

    func admitMessage(_ request: Request) {}

    private func principal(of request: Request) throws(Problem) -> Principal {
        guard let host = request.head.authority, Self.isLoopback(host) else {
            throw Problem(
                .forbidden, "host_refused",
                "This server answers to 'localhost' and '127.0.0.1' only, under which it can be reached here.")
        }
        if let site = Self.site.flatMap({ request.headers[$0] }), !["same-origin", "none"].contains(site) {
            throw Problem(.forbidden, "origin_refused", "A page of another site cannot use this server.")
        }
        if let origin = request.headers[.origin], origin != "http://\(host)" {
            throw Problem(.forbidden, "origin_refused", "A page of another site cannot use this server.")
        }
        // Cookies are shared by all ports of a host: what another server has set there may be anything.
        let cookie = request.cookies[PageSite.personCookie]?.value.removingPercentEncoding
        let chosen = cookie.flatMap { Name.isKey($0) ? $0 : nil }
        guard let name = Self.name.flatMap({ request.headers[$0] }) ?? chosen else {
            return Principal(.human, user, authentication: "loopback")
        }
        guard Name.isKey(name) else {
            throw Problem(.badRequest, "name_invalid", "'Perdure-As' \(TextRule.key.wish).")
        }
        return Principal(.human, name, authentication: "loopback, by its own word")
    }

    private static let name = HTTPField.Name("Perdure-As")
    private static let site = HTTPField.Name("Sec-Fetch-Site")

    /// - Parameter authority: A host, with a port perhaps.
    static func isLoopback(_ authority: String) -> Bool {
        var host = authority[...]
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") { host = host[..<colon] }
        return ["localhost", "127.0.0.1", "[::1]"].contains(host.lowercased())
    }
}
