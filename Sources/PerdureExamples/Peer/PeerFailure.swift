public import Perdure

/// Why the other side did not do what was asked, and what that means for a step: certain that nothing happened, or not; worth
/// another attempt, or not.
public struct PeerFailure: ClassifiedError, Codable, Hashable, CustomStringConvertible {
    /// The HTTP status; `nil` if there was no answer.
    public let status: Int?
    /// What the other side said, or what became of the connection.
    public let reason: String
    public let isDefinite: Bool
    public let isRetryable: Bool
    private let secondsToWait: Int?

    public var retryAfter: Duration? { secondsToWait.map { .seconds($0) } }

    public var description: String {
        guard let status else { return "no answer: \(reason)" }
        return "\(status): \(reason)"
    }

    private init(_ status: Int?, _ reason: String, isDefinite: Bool, isRetryable: Bool, retryAfter: Int? = nil) {
        self.status = status
        self.reason = reason
        self.isDefinite = isDefinite
        self.isRetryable = isRetryable
        secondsToWait = retryAfter
    }

    /// No answer came: the request may have arrived, and may even have been carried out.
    static func noAnswer(_ error: any Error) -> PeerFailure {
        PeerFailure(nil, "\(error)", isDefinite: false, isRetryable: true)
    }

    /// An answer that says no.
    ///
    /// - 429 had no effect, and says when to come back.
    /// - 409 with `Retry-After` means that an earlier request with this key is still being worked on, so its effect may come yet.
    /// - Every other 4xx had no effect, and asking again cannot help.
    /// - 5xx says nothing about the effect: some services fail after having done the work.
    static func refused(_ status: Int, _ reason: String, retryAfter: Int?) -> PeerFailure {
        switch status {
        case 429: PeerFailure(status, reason, isDefinite: true, isRetryable: true, retryAfter: retryAfter)
        case 409 where retryAfter != nil:
            PeerFailure(status, reason, isDefinite: false, isRetryable: true, retryAfter: retryAfter)
        case 400..<500: PeerFailure(status, reason, isDefinite: true, isRetryable: false)
        default: PeerFailure(status, reason, isDefinite: false, isRetryable: true, retryAfter: retryAfter)
        }
    }
}
