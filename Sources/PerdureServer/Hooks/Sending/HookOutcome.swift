internal import PerdureHistory

/// What came of one try to deliver. Nothing that the other side said is kept but its status: an endpoint is no way to read what is behind
/// an address.
enum HookOutcome: Sendable, Hashable {
    /// - Parameter retryAfter: What a 429 or a 503 asked for.
    case answered(status: Int, retryAfter: Duration?)
    case failed(Failure)

    enum Failure: String, Sendable, Hashable {
        case unresolved = "its name has no address"
        case refused = "its address is none that may be connected to"
        case unreachable = "there was no answer"
        case tooLate = "it did not answer in time"
    }

    var isSuccess: Bool {
        if case .answered(200..<300, _) = self { true } else { false }
    }

    var isGone: Bool {
        if case .answered(410, _) = self { true } else { false }
    }

    var status: Int? {
        if case .answered(let status, _) = self { status } else { nil }
    }

    var retryAfter: Duration? {
        if case .answered(_, let wish) = self { wish } else { nil }
    }

    var text: String {
        switch self {
        case .answered(let status, _): "it answered \(status)"
        case .failed(let failure): failure.rawValue
        }
    }

    /// As metrics have it.
    var label: String {
        switch self {
        case .answered where isSuccess: "delivered"
        case .answered: "refused"
        case .failed: "unreachable"
        }
    }
}
