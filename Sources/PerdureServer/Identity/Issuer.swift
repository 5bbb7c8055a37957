internal import AsyncHTTPClient
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Perdure
internal import PerdureHistory

/// What is known of an issuer: where it signs people in, and the keys that its tokens are signed with (OpenID Connect Discovery 1.0,
/// RFC 7517). Fetched when it is needed first, again when it is old, and when a token names a key that is not there yet.
actor Issuer {
    /// What the issuer says of itself.
    struct Metadata: Sendable {
        let authorization: String?
        let token: String?
        let keys: String
    }

    /// How old keys may be, and how soon they are fetched again for a key that nobody has seen: whoever sends tokens must not be able to
    /// have us ask without end.
    static let lifetime = Duration.seconds(600), shortestPause = Duration.seconds(30)
    /// After which time keys that could not be fetched again are good no more.
    static let longestLifetime = Duration.seconds(86_400)
    private static let largestAnswer = 1 << 20

    nonisolated let rule: IssuerRule
    private let http: HTTPClient
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private var metadata: Metadata?
    private var keys: [SigningKey] = []
    /// When the keys that are there were asked for, and when any were.
    private var fetchedAt: Timestamp?, askedAt: Timestamp?
    /// The one that is under way.
    private(set) var fetch: Task<Void, any Error>?

    init(_ rule: IssuerRule, http: HTTPClient, now: @escaping @Sendable () -> Timestamp, logger: Logger) {
        self.rule = rule
        self.logger = logger
        self.http = http
        self.now = now
    }

    /// The keys that a token may be signed with.
    ///
    /// - Parameter id: What the token calls its key; nil if it says nothing.
    /// - Throws: `Problem` with 503 if no keys could be had yet. Those that were had stay when the issuer does not answer.
    func keys(for id: String?) async throws -> [SigningKey] {
        let age = fetchedAt.map { now().duration(since: $0) }
        switch age {
        case nil: try await refresh()
        case let age? where age >= Self.longestLifetime:
            keys = []
            try await refresh()
        // Nobody waits for an issuer whose keys are there.
        case let age? where age >= Self.lifetime: Task { try? await refresh() }
        default: break
        }
        if let id, !keys.contains(where: { $0.id == id }) { try await refresh() }
        guard !keys.isEmpty else { throw unreachable }
        guard let id else { return keys }
        // A key without a name may be the one that is meant.
        return keys.filter { $0.id == nil || $0.id == id }
    }

    /// Where people are sent to sign in.
    func endpoints() async throws -> Metadata {
        if metadata == nil { try await refresh() }
        guard let metadata else { throw unreachable }
        return metadata
    }

    private var unreachable: Problem {
        Problem(
            .serviceUnavailable, "issuer_unreachable",
            "The issuer '\(rule.name)' does not answer, so that nobody can show who they are.")
    }

    /// Those who ask at the same time wait for one answer.
    private func refresh() async throws {
        if let fetch { return try await result(of: fetch) }
        if let askedAt, now().duration(since: askedAt) < Self.shortestPause { return }
        askedAt = now()
        let task = Task { try await load() }
        fetch = task
        defer { fetch = nil }
        try await result(of: task)
    }

    private func result(of fetch: Task<Void, any Error>) async throws {
        do {
            try await fetch.value
        } catch  where !keys.isEmpty {
            // What was had is still good: an issuer that is away does not lock everybody out.
            logger.warning("the keys of an issuer could not be fetched", metadata: ["issuer": "\(rule.name)"])
        } catch {
            logger.error("an issuer cannot be reached, so that nobody gets in by it", metadata: ["issuer": "\(rule.name)"])
            throw error
        }
    }

    private func load() async throws {
        let asked = now()
        let address = rule.address.hasSuffix("/") ? String(rule.address.dropLast()) : rule.address
        let document = try await json("\(address)/.well-known/openid-configuration")
        guard document["issuer"]?.stringValue == rule.address, let place = document["jwks_uri"]?.stringValue,
            IssuerRule.isAddress(place)
        else { throw unreachable }
        let set = try await json(place)
        let found = (set["keys"]?.arrayValue ?? []).compactMap(SigningKey.init)
        guard !found.isEmpty else { throw unreachable }
        metadata = Metadata(
            authorization: document["authorization_endpoint"]?.stringValue, token: document["token_endpoint"]?.stringValue,
            keys: place)
        keys = found
        fetchedAt = asked
    }

    private func json(_ address: String) async throws -> JSONValue {
        var request = HTTPClientRequest(url: address)
        request.headers.add(name: "accept", value: "application/json")
        return try await Self.json(http, request, orThrow: unreachable)
    }

    /// Asks for JSON of a bounded size.
    ///
    /// - Throws: The problem, if anything but it comes back.
    static func json(_ http: HTTPClient, _ request: HTTPClientRequest, orThrow problem: Problem) async throws -> JSONValue {
        do {
            // The client's own limit ends with the head of the answer.
            let answer = try await firstResult(within: .seconds(10)) { () -> JSONValue? in
                let response = try await http.execute(request, timeout: .seconds(10))
                guard response.status == .ok else { return nil }
                let body = try await response.body.collect(upTo: largestAnswer)
                return try JSONValue.parse(Array(body.readableBytesView), what: "the answer")
            }
            guard let answer = answer ?? nil else { throw problem }
            return answer
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw problem
        }
    }
}
