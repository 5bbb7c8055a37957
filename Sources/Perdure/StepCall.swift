/// A call of `read`, `step` or `act` with its types erased: what the context hands down to the engine.
package struct StepCall: Sendable {
    package typealias Value = any Codable & Sendable
    package typealias Body = @concurrent @Sendable (StepContext) async throws -> Value
    package typealias Probe = @concurrent @Sendable (StepContext) async throws -> ProbeAnswer<Value>

    package var name: String
    package var id: String?
    package var input: Value
    package var outputType: any (Codable & Sendable).Type
    package var effect: EffectKind
    package var policy: StepPolicy
    package var businessKey: String?
    package var approval: ApprovalRequirement?
    package var body: Body
    package var probe: Probe?
    package var undo: UndoCall?
    /// Why the step has no undo; `nil` for reads and for steps with one.
    package var irreversible: String?
    /// In place of the body, for work that is done in a transaction of the store.
    package var transaction: TransactionCall?
    /// The name of the step's type, where it is a type of its own that can be undone.
    package var stepType: String?
}

/// The declared reverse action of a step. It receives the recorded output, decoded.
package struct UndoCall: Sendable {
    package typealias Body = @concurrent @Sendable (StepCall.Value, StepContext) async throws -> Void
    package typealias Probe = @concurrent @Sendable (StepCall.Value, StepContext) async throws -> ProbeAnswer<StepCall.Value>

    package var isAtMostOnce: Bool
    package var body: Body
    package var probe: Probe?
    /// In place of the body, for work that is done in a transaction of the store.
    package var transaction: UndoTransaction?
}

/// A question to a person, with its types erased.
package struct QuestionCall: Sendable {
    package var name: String
    package var id: String?
    package var text: String
    package var approver: Approver
    package var within: Duration?
}
