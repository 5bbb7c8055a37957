/// An answer that says no: an RFC 9457 problem.
package struct Problem: Error, Equatable, Sendable {
    /// HTTP status.
    package let status: Int
    /// A few words, the same for every occurrence of the problem.
    package let title: String
    /// What was wrong this time.
    package let detail: String
    /// Seconds for `Retry-After`, where repeating makes sense.
    package let retryAfter: Int?

    package init(_ status: Int, _ title: String, _ detail: String, retryAfter: Int? = nil) {
        self.status = status
        self.title = title
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// 400: the request cannot be read.
    static func malformed(_ detail: String) -> Problem {
        Problem(400, "Malformed request", detail)
    }

    /// 422: the request can be read and makes no sense.
    static func unprocessable(_ detail: String) -> Problem {
        Problem(422, "Unprocessable request", detail)
    }

    /// 404: what the request is about is not there.
    static func missing(_ detail: String) -> Problem {
        Problem(404, "Not found", detail)
    }

    /// 500 after the work was done.
    static let failedAfterEffect = Problem(500, "Internal error", "the peer was told to fail after doing the work")

    /// What a refusal is on the wire.
    init(_ refusal: Decision.Refusal) {
        switch refusal {
        case .down:
            self.init(503, "Service unavailable", "the peer was told to be down")
        case .rateLimited:
            self.init(429, "Too many requests", "the peer was told to limit the rate", retryAfter: 1)
        case .unavailable:
            self.init(503, "Service unavailable", "the peer was told to fail before doing the work")
        case .keyInProgress:
            // Zero: the key comes free with the answer of the other request, and the caller's own backoff is enough.
            self.init(409, "Idempotency key in use", "a request with this key has not been answered yet", retryAfter: 0)
        case .keyReused:
            self.init(422, "Idempotency key reused", "a request with this key and another body was answered before")
        }
    }
}
