/// A message that a run can wait for. Signals are kept until the run asks for them; a repeated delivery id is delivered once.
public protocol Signal: Sendable {
    associatedtype Payload: Codable & Sendable
    /// The name that senders use: 1 to 128 bytes of letters, digits, `-`, `_` and `.`.
    static var name: String { get }
}
