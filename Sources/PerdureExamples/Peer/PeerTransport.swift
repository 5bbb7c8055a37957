public import Foundation

/// One request to the other side.
public struct PeerCall: Sendable {
    /// `GET`, `POST` or `DELETE`.
    public var method: String
    /// The path with its query, such as `/payments/charges?order=7`.
    public var path: String
    /// Name and value of each header.
    public var headers: [(name: String, value: String)]
    /// The JSON body, if there is one.
    public var body: Data?
    /// When nobody waits for the answer any longer.
    public var deadline: Date
}

/// What the other side answered.
public struct PeerReply: Sendable {
    /// The HTTP status.
    public var status: Int
    /// Seconds of `Retry-After`, if the answer says so.
    public var retryAfter: Int?
    /// The body as it came.
    public var body: Data

    /// An answer with its parts.
    public init(status: Int, retryAfter: Int? = nil, body: Data = Data()) {
        self.status = status
        self.retryAfter = retryAfter
        self.body = body
    }
}

/// How requests get to the other side. A test or a demonstration puts its own in the place of HTTP.
public protocol PeerTransport: Sendable {
    /// Sends the call and waits for the whole answer.
    ///
    /// - Throws: Whatever went wrong; the request may have arrived nevertheless. `CancellationError` if the task was cancelled.
    func send(_ call: PeerCall, to address: String) async throws -> PeerReply
}
