/// A value that must not enter history, logs or views. It is not `Codable`, so it cannot be an input or output of a step, and it
/// prints as `•••`. Use a reference to the secret as a value, and fetch the secret inside the step that needs it.
public struct Secret<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: Value
    /// Wraps the value. What else holds it is the caller's care.
    public init(_ value: Value) { self.value = value }

    /// Lends the value to the closure.
    public func withValue<Result, Failure: Error>(_ body: (Value) throws(Failure) -> Result) throws(Failure) -> Result {
        try body(value)
    }

    public var description: String { "•••" }
    public var debugDescription: String { "•••" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
