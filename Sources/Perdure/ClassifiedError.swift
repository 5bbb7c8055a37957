/// An error of a step's body that says what it means for the effect. Errors that do not conform are taken as the careful case:
/// the effect may have happened, and trying again may help.
public protocol ClassifiedError: Error {
    /// `true` only if it is certain that the effect was not performed, as after "insufficient funds". Default: `false`.
    var isDefinite: Bool { get }
    /// `false` if another attempt cannot help. Default: `true`.
    var isRetryable: Bool { get }
    /// The shortest time to wait before the next attempt, as an HTTP `Retry-After` asks for. Default: `nil`.
    var retryAfter: Duration? { get }
}

extension ClassifiedError {
    public var isDefinite: Bool { false }
    public var isRetryable: Bool { true }
    public var retryAfter: Duration? { nil }
}

/// A ready-made error for "the other side refused, nothing happened, and asking again is of no use".
public struct Rejected: ClassifiedError, Codable, Hashable, CustomStringConvertible {
    /// What the other side said.
    public let reason: String
    /// A refusal for this reason.
    public init(_ reason: String) { self.reason = reason }
    public var isDefinite: Bool { true }
    public var isRetryable: Bool { false }
    public var description: String { reason }
}
