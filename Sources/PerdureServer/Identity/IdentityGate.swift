internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Perdure
internal import PerdureHistory

/// Lets in whoever shows who they are: by a token of an issuer that is believed, a token of ours, a session of the page, or a certificate.
struct IdentityGate: Gate {
    /// `__Host-`: from this host alone, and over nothing but TLS (RFC 6265bis).
    static let sessionCookie = "__Host-perdure"

    /// Under what the server is reached, without a path: its origin. Without one any name of this machine itself will do.
    let origin: String?
    /// Of the scheme if there is no origin.
    let isTLS: Bool
    let access: Access
    let tokens: APITokens
    let sessions: Sessions
    /// Whether certificates are asked for.
    let takesCertificates: Bool
    let callers: RateLimit
    let now: @Sendable () -> Timestamp
    private let strangers: RateLimit
    /// Of those who sign what they send, whom strangers at the other doors must not keep out.
    private let messages = RateLimit(perSecond: 500)
    private let acquaintances = Acquaintances()

    init(
        origin: String?, isTLS: Bool, access: Access, tokens: APITokens, sessions: Sessions, takesCertificates: Bool,
        callers: RateLimit,
        strangers: RateLimit = RateLimit(perSecond: 50), now: @escaping @Sendable () -> Timestamp
    ) {
        self.origin = origin
        self.isTLS = isTLS
        self.access = access
        self.tokens = tokens
        self.sessions = sessions
        self.takesCertificates = takesCertificates
        self.callers = callers
        self.strangers = strangers
        self.now = now
    }

    var trustsThisMachine: Bool { false }

    @concurrent func caller(of request: Request, over channel: any Channel, by way: Way) async throws -> Caller {
        _ = try origin(of: request)
        let credential = Self.credential(request)
        // Each that was not seen before costs a look into the store, or at a signature: guesses must not keep others from being answered.
        if let credential, !acquaintances.has(credential, at: now()), let wait = strangers.take("", at: now()) {
            throw Self.tooMany(wait)
        }
        let caller = try await known(request, channel, way)
        if let credential { acquaintances.add(credential, at: now()) }
        if let wait = callers.take(caller.principal.id, at: now()) { throw Self.tooMany(wait) }
        return caller
    }

    /// Stands for what the request shows; nil if it shows nothing but a certificate, perhaps, which cannot be guessed.
    private static func credential(_ request: Request) -> String? {
        let shown = request.headers[.authorization] ?? request.cookies[sessionCookie]?.value
        return shown.map { Hex.encode(SaltedDigest.plain(Array($0.utf8)).prefix(16)) }
    }

    private static func tooMany(_ wait: Duration) -> Problem {
        var problem = Problem(.tooManyRequests, "rate_exceeded", "That are more requests than are answered in this time.")
        problem.retryAfter = wait
        return problem
    }

    private func known(_ request: Request, _ channel: any Channel, _ way: Way) async throws -> Caller {
        let fields = request.headers[values: .authorization]
        guard fields.count <= 1 else { throw SignedToken.refusal }
        if let field = fields.first { return try await bearer(field) }
        if let cookie = request.cookies[Self.sessionCookie]?.value, let caller = try await session(cookie, request, way) {
            return caller
        }
        let rules = access.rules
        if takesCertificates, let principal = try await PeerCertificate.principal(over: channel, rules, at: now()) {
            return Caller(principal: principal, rights: rules.rights(of: principal.id, groups: []))
        }
        throw Problem.unauthorized(
            "credentials_missing", "Say who you are: 'Authorization: Bearer …' with a token that this server takes.")
    }

    /// Lets somebody try whom nobody knows yet, before anything that they have sent is read.
    ///
    /// - Throws: `Problem` with 429 if too many do, 403 if a page of another site has them do it, 421.
    func admitStranger(_ request: Request, isReading: Bool) throws(Problem) {
        try checkOrigin(of: request, isReading: isReading)
        if let wait = strangers.take("", at: now()) { throw Self.tooMany(wait) }
    }

    func admitMessage(_ request: Request) throws(Problem) {
        _ = try origin(of: request)
        if let wait = messages.take("", at: now()) { throw Self.tooMany(wait) }
    }

    // MARK: Tokens

    /// The token that somebody signs in with at the page.
    ///
    /// - Throws: `Problem` with 401 if it is not good.
    func token(_ text: String) async throws -> APIToken {
        guard let token = try await tokens.valid(text) else { throw SignedToken.refusal }
        return token
    }

    private func bearer(_ field: String) async throws -> Caller {
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw SignedToken.refusal }
        let text = String(parts[1])
        if text.hasPrefix(APITokens.prefix) {
            guard let token = try await tokens.valid(text) else { throw SignedToken.refusal }
            return Caller(principal: token.principal, rights: token.rights)
        }
        guard let token = SignedToken(text), let issuer = token.issuer.flatMap({ access.issuer($0) }) else {
            throw SignedToken.refusal
        }
        try await token.verify(by: issuer, audience: issuer.rule.audience, at: now())
        let rules = access.rules
        let (principal, groups) = try token.identity(issuer.rule, rules)
        return Caller(principal: principal, rights: rules.rights(of: principal.id, groups: groups))
    }

    // MARK: Sessions

    /// A browser sends its cookie with whatever page has it ask: what changes something has to come from a page of ours.
    private func session(_ cookie: String, _ request: Request, _ way: Way) async throws -> Caller? {
        let isReading = request.method == .get || request.method == .head
        guard isReading || way == .page else { return nil }
        guard let session = try await sessions.find(cookie) else { return nil }
        try checkOrigin(of: request, isReading: isReading)
        if let hash = session.token {
            // Revoked, it is worth nothing here either.
            guard let token = try await tokens.valid(hash: hash) else { return nil }
            return Caller(principal: token.principal, rights: token.rights, formKey: session.formKey)
        }
        let rules = access.rules
        // Who is believed no more has vouched for nobody.
        guard rules.issuers.contains(where: { $0.mark == session.issuer }) else { return nil }
        return Caller(
            principal: session.principal, rights: rules.rights(of: session.principal.id, groups: session.groups),
            formKey: session.formKey)
    }

    // MARK: Where a request comes from

    /// The origin that the request is for. A name that somebody else has made to lead here is not ours: what a browser keeps for it is
    /// theirs.
    ///
    /// - Throws: `Problem` with 421.
    func origin(of request: Request) throws(Problem) -> String {
        guard let host = request.head.authority?.lowercased() else { throw Self.misdirected }
        guard let origin else {
            guard LoopbackGate.isLoopback(host) else { throw Self.misdirected }
            return "\(isTLS ? "https" : "http")://\(host)"
        }
        let bare = host.hasSuffix(":443") ? String(host.dropLast(4)) : host
        guard ["https://\(host)", "http://\(host)", "https://\(bare)"].contains(origin) else { throw Self.misdirected }
        return origin
    }

    private static let misdirected = Problem(.misdirectedRequest, "host_refused", "This server is not reached by this name.")

    func checkOrigin(of request: Request, isReading: Bool) throws(Problem) {
        let origin = try origin(of: request)
        let refusal = Problem(.forbidden, "origin_refused", "A page of another site cannot use this server.")
        let site = HTTPField.Name("Sec-Fetch-Site").flatMap { request.headers[$0] }, from = request.headers[.origin]
        if let from, from != origin { throw refusal }
        if isReading {
            // Following a link that leads here is reading, whoever has set it.
            let isNavigation = HTTPField.Name("Sec-Fetch-Mode").flatMap { request.headers[$0] } == "navigate"
            if let site, !["same-origin", "none"].contains(site), !isNavigation { throw refusal }
        } else if let site {
            if site != "same-origin" { throw refusal }
        } else if from == nil {
            throw refusal
        }
    }
}
