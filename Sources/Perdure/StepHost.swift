/// What a step's context stands on: one attempt, implemented by the engine.
package protocol StepHost: Sendable {
    func heartbeat(_ details: (any Codable & Sendable)?) throws
    func lastHeartbeat<Details: Decodable>(as type: Details.Type) throws -> Details?
}

/// An attempt that nobody listens to, and before which there was none.
package struct SilentStepHost: StepHost {
    package init() {}
    package func heartbeat(_ details: (any Codable & Sendable)?) throws { try Task.checkCancellation() }
    package func lastHeartbeat<Details: Decodable>(as type: Details.Type) throws -> Details? { nil }
}
